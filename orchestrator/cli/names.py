"""Names that the shell completes: of runs, models and kinds of export. Imports nothing heavy."""

from __future__ import annotations


def run_names(incomplete: str) -> list[str]:
    """Names of runs, newest first, for completion."""
    from ..solving.run_directory import all_runs

    names = ["last", *(run.path.name for run in reversed(all_runs()))]
    return [name for name in names if name.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """What a model's name may begin with, for completion."""
    known = ("offline/repair", "openai/", "anthropic/", "gemini/", "hosted_vllm/", "openrouter/", "ollama/")
    return [name for name in known if name.startswith(incomplete)]


def format_names(incomplete: str) -> list[str]:
    """Names of the kinds, for completion."""
    from ..training.export.export import MAKERS

    return [name for name in (*MAKERS, "preds", "all") if name.startswith(incomplete)]
