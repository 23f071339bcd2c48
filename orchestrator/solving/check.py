"""Check: what a run of tests says about a patch, and how much of what could speak was heard."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...tools.testing.report import Comparison, TestReport
from ..settings.flag import duration


@dataclass(frozen=True, slots=True)
class Verify:
    """How much is spent on tests, in seconds that two lanes of tests are expected to take. A check that takes half as
    much again is cut off (later on a machine that has more to do than cores), and says so."""

    candidate_s: float = 45.0
    """For the check of one candidate."""
    final_s: float = 45.0
    """For the last check, on a clean base."""
    far_s: float = 20.0
    """Files that are not among the nearest are run only while all of a check is expected to take so long."""
    whole: bool = False
    """Always the whole suite, however long it takes."""

    def grace_s(self, limit_s: float) -> float:
        """Seconds that the final check of a run with the time limit `limit_s` may take beyond it."""
        return max(10.0, limit_s / 4)

    @property
    def test_s(self) -> float | None:
        """Longest a single test may take; None: as long as it likes."""
        return None if self.whole else max(30.0, self.final_s / 2)

    @classmethod
    def of(cls, text: str) -> Verify:
        """Of `--verify`: `auto`, `full`, or the longest a final check may take (`90s`, `5m`); a candidate's check
        takes half of that. Raises: ValueError."""
        if text in ("auto", "full"):
            return cls(whole=text == "full")
        seconds = duration(text)
        return cls(candidate_s=seconds / 2, final_s=seconds, far_s=seconds)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was run of what can reach the change."""

    whole: bool = False
    """The whole suite was run."""
    files_run: tuple[str, ...] = ()
    """Test files of the base commit that were run to their end, nearest first."""
    files_reaching: int | None = None
    """Test files that import a changed file, over any distance; None: not known."""
    files_total: int | None = None
    reaching_run: int = 0
    """Of those that reach the change, how many were run."""
    not_run: tuple[str, ...] = ()
    """The nearest files that were not run, at most 20."""
    tests_run: int = 0
    """Tests that were there before the patch and ran."""
    near: bool = True
    """Whether a test that was there before the patch, among those nearest to it, ran."""

    def words(self) -> str:
        """One phrase: `8 of 31 test files that can reach the change`."""
        if self.whole:
            return "the whole suite"
        if self.files_total is None:
            return "the tests that show the issue"
        if self.files_reaching:
            return f"{self.reaching_run} of {self.files_reaching} test files that can reach the change, nearest first"
        return f"{len(self.files_run)} of {self.files_total} test files, nearest first"

    @property
    def share(self) -> float | None:
        """Of the test files that can reach the change, how many were run, in [0, 1]; None: not known."""
        if self.whole:
            return 1.0
        return self.reaching_run / self.files_reaching if self.files_reaching else None

    def to_json(self) -> dict[str, object]:
        """For the record and for results."""
        return {
            "whole": self.whole,
            "files_run": list(self.files_run),
            "reaching_run": self.reaching_run,
            "files_reaching": self.files_reaching,
            "files_total": self.files_total,
            "not_run": list(self.not_run),
            "tests_run": self.tests_run,
            "near": self.near,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One run of tests on a candidate. `targets` are the tests the issue is about."""

    comparison: Comparison
    report: TestReport | None
    targets: frozenset[str] = frozenset()
    passed_targets: frozenset[str] = frozenset()
    evidence: Evidence = field(default_factory=Evidence)
    unknown: frozenset[str] = frozenset()
    """Tests that fail on the candidate and could not be asked of the base in time."""

    @property
    def whole(self) -> bool:
        """Whether the whole suite was run."""
        return self.evidence.whole

    @property
    def failed_targets(self) -> frozenset[str]:
        return self.targets - self.passed_targets

    @property
    def green(self) -> bool:
        """Nothing broke and every target passes (there may be none)."""
        return not self.comparison.broken and not self.failed_targets

    @property
    def verified(self) -> bool:
        """Green, at least one test that failed because of the issue passes now, nothing that fails is
        unexplained, and tests near the change were run."""
        return self.green and bool(self.passed_targets) and not self.unknown and self.evidence.near

    @property
    def target_rate(self) -> float | None:
        return len(self.passed_targets) / len(self.targets) if self.targets else None

    def summary(self) -> str:
        """One line for a prompt or a screen."""
        c = self.comparison
        parts = (
            [f"{len(self.passed_targets)} of {len(self.targets)} target tests pass"] if self.targets else []
        )
        parts += [f"{len(c.fixed)} fixed", f"{len(c.broken)} broken", f"{len(c.still_failing)} still failing"]
        if self.unknown:
            parts.append(f"{len(self.unknown)} failing that were not compared with the base")
        parts.append(f"run: {self.evidence.words()}")
        return ", ".join(parts)
