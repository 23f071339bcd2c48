"""The benchmarks by name."""

from __future__ import annotations

from importlib import import_module

from ...tools.errors import UsageError
from ...tools.plugins import installed, load
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
    """One of ours or of an installed package. Raises: UsageError listing the known names."""
    entry = BENCHMARKS.get(name.lower())
    if entry is None and name in installed("benchmarks"):
        return load("benchmarks", name, type)()
    if entry is None:
        raise UsageError(f"no benchmark {name!r}: {', '.join((*BENCHMARKS, *installed('benchmarks')))}")
    module, attribute = entry
    return getattr(import_module(f".{module}", __package__), attribute)()
