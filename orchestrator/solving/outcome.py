"""conclude: what was found becomes a result, an exit code and one honest line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...tools.patch import Patch
from ...tools.testing.report import Baseline
from ..record.totals import Spent
from ..request import Ending, SolveResult
from .check import Check
from .judges import Judgement


def no_test(baseline: Baseline, unrelated: Mapping[str, str], *, whole: bool) -> str:
    """Why the offline model has nothing to go by, and what to do. `unrelated`: failing test → why it does not show
    the issue."""
    if baseline.problem:
        return (
            f"the tests could not be run on the base commit: {baseline.problem}; say how to run them with "
            "--setup and --test-cmd, for the offline model needs a failing test, or name a language model "
            "with --model"
        )
    where = "" if whole else " among those that were run in the time"
    what = "add one that shows the issue, or name a language model with --model"
    if unrelated:
        test, why = next(iter(sorted(unrelated.items())))
        return (
            f"{len(unrelated)} tests fail on the base commit{where}, but none of them shows the issue ({test}: {why}), "
            f"and the offline model needs a test that does: {what}; a test shows it that names what the issue names"
        )
    return f"no test fails on the base commit{where}, and the offline model needs a failing test: {what}"


@dataclass(frozen=True, slots=True)
class Found:
    """The chosen patch and how it was judged."""

    patch: Patch = field(default_factory=lambda: Patch(""))
    judged: Judgement | None = None
    limit: bool = False
    """A budget limit ended the search."""
    why: str = ""
    """Why there is no patch."""
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    abstained: bool = False
    """The search is not sure enough to claim the patch."""
    targets: frozenset[str] = frozenset()
    flaky: frozenset[str] = frozenset()
    unrelated: Mapping[str, str] = field(default_factory=dict[str, str])
    """Test that fails on the base commit → why it does not show the issue."""
    raise_what: str = "raise --timeout or a --budget-... flag"
    """What to do about the limit."""

    @property
    def check(self) -> Check | None:
        """The final check on a clean base."""
        return self.judged.check if self.judged else None

    @property
    def marks(self) -> tuple[str, ...]:
        """Signs that the patch reaches for its judge: with any of them nothing is claimed."""
        return self.judged.marks if self.judged else ()

    @property
    def special_cases(self) -> tuple[str, ...]:
        return self.judged.special_cases if self.judged else ()

    @property
    def contradicted(self) -> frozenset[str]:
        return self.judged.contradicted if self.judged else frozenset()


def conclude(
    base_commit: str,
    found: Found,
    *,
    run: Path,
    totals: Spent | None = None,
) -> SolveResult:
    """verified; no_patch; not_verified: a patch whose checks did not show it right; limit: either at a limit.
    "Passes the tests that were run" is all that is ever claimed."""
    check = found.check
    verified = check is not None and check.verified and not found.abstained and not found.marks
    if found.patch.is_empty:
        ending: Ending = "limit" if found.limit else "no_patch"
        status = f"no patch: {found.why or 'no candidate was found'}"
        if found.limit:
            status = f"no patch: a limit was reached before one was found; {found.raise_what}"
    elif verified:
        assert check is not None
        ending = "verified"
        status = (
            f"a patch that passes the tests that were run: {len(check.comparison.fixed | check.passed_targets)} "
            f"fixed, 0 broken{'' if check.whole else f' of those ({check.evidence.words()})'}"
        )
    else:
        ending = "limit" if found.limit else "not_verified"
        status = f"a patch that is not verified: {_why_not(check, found)}"
        if found.limit:
            status = f"limit reached; the best patch so far is kept, not verified: {_why_not(check, found)}"
    if found.judged is not None and found.judged.own_tests is not None:
        passed, rest = found.judged.own_tests
        status += f"; of the tests that it changes or adds, judged apart, {passed} pass and {rest} do not"
    comparison = check.comparison if check else None
    return SolveResult(
        ending=ending,
        status=status,
        patch=found.patch.text,
        verified=verified,
        fixed=tuple(sorted(comparison.fixed | check.passed_targets)) if comparison and check else (),
        broken=tuple(sorted(comparison.broken - found.contradicted)) if comparison else (),
        contradicted=tuple(sorted(found.contradicted)),
        changed_tests=found.judged.held_back if found.judged else (),
        marks=found.marks,
        special_cases=found.special_cases,
        still_failing=tuple(sorted(comparison.still_failing | check.failed_targets))
        if comparison and check
        else (),
        flaky=tuple(sorted(found.flaky)),
        confidence=found.confidence,
        reasons=found.reasons,
        evidence=check.evidence.to_json() if check else None,
        unrelated=tuple(f"{test}: {why}" for test, why in sorted(found.unrelated.items())),
        run=run,
        base_commit=base_commit,
        totals=totals or {},
    )


def _why_not(check: Check | None, found: Found) -> str:
    if check is None:
        return "no test could be run on it"
    if found.marks:
        first, *others = found.marks
        more = f" (and {len(others)} more signs)" if others else ""
        return f"it reaches for what judges it: {first}{more}"
    if found.contradicted and check.comparison.broken <= found.contradicted:
        return f"{len(found.contradicted)} existing tests contradict it, and it changes them: look at them"
    if check.comparison.broken:
        return f"{len(check.comparison.broken)} of the tests that were run passed before and fail with it"
    if check.unknown:
        return (
            f"{len(check.unknown)} tests fail with it, and there was no time to see whether they did before; give more "
            "with --verify"
        )
    if check.failed_targets:
        return f"{len(check.failed_targets)} of {len(check.targets)} tests that show the issue still fail"
    if found.abstained and check.passed_targets:
        return "its tests pass, but the candidates disagree too much to claim it"
    if check.passed_targets and not check.evidence.near:
        return (
            "its own test passes, but no test that was there before and is near the change could be run "
            f"({check.evidence.words()}); give more time with --verify"
        )
    return "no test shows the issue, so none shows that it is solved"
