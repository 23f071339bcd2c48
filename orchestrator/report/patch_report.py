"""PatchReport: what a run shows about its patch, as Markdown for reviewers: what was red and is green, what was run
and what was not, how sure the run is, what it cost, how to see it again.

Test ids, paths and reasons come from the repository or a model: they stand in code spans, and nothing in them
mentions people or closes issues.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..record.totals import Spent

MOST = 20
"""Tests that are listed of each kind."""


@dataclass(frozen=True, slots=True)
class PatchReport:
    """The part of a result that reviewers need. None and empty: not known, not none."""

    status: str
    exit_code: int
    verified: bool
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    changed_tests: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    special_cases: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    scope: str = ""
    """What was run of what can reach the change."""
    confidence: float | None = None
    cost_usd: float | None = None
    calls: int | None = None
    wall_s: float | None = None
    base_commit: str = ""
    model: str = ""
    files: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, result: Mapping[str, Any], *, model: str = "") -> Self:
        """From what `solve --json` prints (SolveResult.to_json)."""
        totals: Spent = result.get("totals") or {}
        patch = str(result.get("patch") or "")
        return cls(
            status=str(result.get("status") or ""),
            exit_code=int(result.get("exit_code") or 0),
            verified=bool(result.get("verified")),
            fixed=_names(result, "fixed"),
            broken=_names(result, "broken"),
            contradicted=_names(result, "contradicted"),
            still_failing=_names(result, "still_failing"),
            flaky=_names(result, "flaky"),
            changed_tests=_names(result, "changed_tests"),
            marks=_names(result, "marks"),
            special_cases=_names(result, "special_cases"),
            removed=_names(result, "removed"),
            reasons=_names(result, "reasons"),
            scope=str(result.get("scope") or ""),
            confidence=result.get("confidence"),
            cost_usd=totals.get("cost_usd"),
            calls=totals.get("calls"),
            wall_s=totals.get("wall_s"),
            base_commit=str(result.get("base_commit") or ""),
            model=model,
            files=tuple(re.findall(r"^diff --git a/\S+ b/(\S+)$", patch, re.M)),
        )

    def markdown(self, *, reproduce: str = "") -> str:
        """Headings, a table of tests, and how to see it again. `reproduce`: a command."""
        parts = [f"**{_plain(self.status)}**", self._tests(), self._sure(), self._cost()]
        if reproduce:
            parts.append(
                f"To see it again, on `{self.base_commit[:12] or 'the base commit'}`:\n\n```\n{reproduce}\n```"
            )
        parts.append("A program wrote this; executed tests are its evidence, not a review. Please review it.")
        return "\n\n".join(part for part in parts if part) + "\n"

    def _tests(self) -> str:
        rows = [
            ("red before, green after", self.fixed),
            ("broken by the patch", self.broken),
            ("contradict the patch, which changes them", self.contradicted),
            ("still red", self.still_failing),
            ("flaky, not counted", self.flaky),
        ]
        lines = [f"- {name}: {len(tests)}{_listed(tests)}" for name, tests in rows if tests]
        if self.scope:
            lines.append(f"- run: {_plain(self.scope)}")
        if self.changed_tests:
            lines.append(f"- changed or new, judged apart: {_listed(self.changed_tests).lstrip()}")
        if self.marks:
            lines.append(f"- signs that it reaches for its judge: {_listed(self.marks).lstrip()}")
        if self.special_cases:
            lines.append(f"- made for the tests, look at it: {_listed(self.special_cases).lstrip()}")
        if self.removed:
            lines.append(f"- left out of the patch: {_listed(self.removed).lstrip()}")
        return "\n".join(lines)

    def _sure(self) -> str:
        if self.confidence is None:
            return ""
        why = "; ".join(_plain(reason) for reason in self.reasons)
        return f"Confidence {self.confidence:.2f}{f' ({why})' if why else ''}."

    def _cost(self) -> str:
        known = [
            f"{self.calls} model calls" if self.calls is not None else "",
            "price unknown" if self.cost_usd is None else f"${self.cost_usd:.4f}",
            f"{self.wall_s:.0f} s" if self.wall_s is not None else "",
            f"model {code(self.model)}" if self.model else "",
        ]
        return f"Cost: {', '.join(part for part in known if part)}."


def code(text: str) -> str:
    """`text` as a code span, whatever it holds."""
    flat = " ".join(text.split())
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") or not flat else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def _plain(text: str) -> str:
    """Text without Markdown, HTML, mentions and references."""
    flat = " ".join(text.split())
    flat = re.sub(r"([\\`*_\[\]<>|~!])", r"\\\1", flat)
    return re.sub(r"([@#])(?=\w)", "\\1\u200b", flat)


def _listed(tests: Sequence[str]) -> str:
    shown = "".join(f"\n  - {code(test)}" for test in tests[:MOST])
    return shown + (f"\n  - and {len(tests) - MOST} more" if len(tests) > MOST else "")


def _names(result: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(item) for item in result.get(key) or ())


def reproduction_command(reference: str, base_commit: str, model: str) -> str:
    """The command that runs it again."""
    base = f" --base {base_commit}" if re.fullmatch(r"[0-9a-f]{7,64}", base_commit) else ""
    chosen = f" --model {model}" if re.fullmatch(r"[\w./:@-]+", model) else ""
    return f"swe-agent solve --issue {reference}{base}{chosen}"


def read_patch(run: Path) -> str:
    """`patch.diff` of a run; "" when there is none."""
    try:
        return (run / "patch.diff").read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
