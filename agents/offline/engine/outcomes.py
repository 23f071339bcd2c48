"""Outcomes: whether an ordinary run shows a repair."""

from __future__ import annotations

from collections.abc import Sequence

LATE = "\0timeout"
"""Stands among the outcomes of a run whose time was over."""


def green(outcomes: dict[str, str], failing: Sequence[str], keep: Sequence[str]) -> bool:
    """Whether every failing test passes and none of `keep` fails or is gone."""
    if any(_outcome(outcomes, test) != "passed" for test in failing):
        return False
    return not any(_outcome(outcomes, test) in ("failed", "missing") for test in keep)


def _outcome(outcomes: dict[str, str], test: str) -> str:
    """`passed`, `failed`, `skipped` or `missing` of a test id, which may name a family of tests."""
    if test in outcomes:
        return outcomes[test]
    heads = (test + "[", test + "::") if "::" in test else (test + ".",)
    family = [seen for name, seen in outcomes.items() if name.startswith(heads)]
    if not family:
        return "missing"
    return "failed" if "failed" in family else family[0]
