"""The benchmarks by name."""

from __future__ import annotations

from importlib import import_module

from ...tools.errors import UsageError
from .contract import Benchmark

BENCHMARKS = {
    "humaneval": ("functions", "HumanEval"),
    "humanevalfix": ("functions", "HumanEvalFix"),
    "mbpp": ("functions", "MBPP"),
    "bigcodebench": ("functions", "BigCodeBench"),
    "naturalcodebench": ("functions", "NaturalCodeBench"),
    "livecodebench": ("functions", "LiveCodeBench"),
    "mle-bench": ("mle", "MLEBench"),
    "mlagentbench": ("directories", "MLAgentBench"),
    "harbor": ("harbor.adapter", "Harbor"),
}


def benchmark_named(name: str) -> Benchmark:
    """Raises: UsageError listing the known names."""
    entry = BENCHMARKS.get(name.lower())
    if entry is None:
        raise UsageError(f"no benchmark {name!r}: {', '.join(BENCHMARKS)}")
    module, attribute = entry
    return getattr(import_module(f".{module}", __package__), attribute)()
