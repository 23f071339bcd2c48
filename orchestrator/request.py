"""SolveRequest: everything that decides how one issue is solved. SolveResult: what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SkipValidation, ValidationError

from ..tools.errors import UsageError
from ..tools.project.spec import Project
from .exit_code import ExitCode
from .record.totals import Spent
from .settings import Count, Settings
from .solving.issue import Issue

Ending = Literal["verified", "not_verified", "no_patch", "limit"]
"""How a run ended. limit: with the best patch so far, or none."""

_CODES: Mapping[Ending, ExitCode] = {
    "verified": ExitCode.OK,
    "not_verified": ExitCode.NOT_VERIFIED,
    "no_patch": ExitCode.NO_PATCH,
    "limit": ExitCode.LIMIT,
}


class SolveRequest(Settings):
    """One issue, one repository, and how to go about it. A value: two equal requests with the same seed and
    the same answers of the model give the same patch.

    Raises: pydantic.ValidationError, naming the field.
    """

    issue: Issue
    repository: Path
    """Local checkout or clone; it is read, never written."""
    base: str | None = None
    """Revision to work on; None: HEAD of `repository`."""
    workers: Count = 1
    """Rollouts at once; changes the wall time and nothing else."""
    repairs: Annotated[int, Field(ge=0)] = 3
    """Debugger turns after the Coder's, per rollout."""
    image: str | None = None
    python: str | None = None
    project: Annotated[Project | None, SkipValidation] = Field(default=None, exclude=True)
    """A ready environment (batch runs); None: it is set up from the repository."""
    protected: tuple[str, ...] = ()
    """Globs of files that the patch may not touch, beyond existing tests that it would weaken."""
    keep_tests: bool = True
    """Whether new tests written by the patch stay in it."""
    include_dirty: bool = False
    """Whether uncommitted changes of `repository` are part of the base."""
    complete: bool = False
    """Whether a rollout that the infrastructure failed ends the run, resumably, although others found a patch:
    a batch's predictions must not depend on faults. Without it the best of what was found is the answer."""

    def to_json(self) -> dict[str, Any]:
        """For `run.json`: no secrets, no environment."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SolveRequest:
        """The request of an earlier run, for `--resume` and `replay`. Raises: UsageError when it is of another
        version or damaged."""
        try:
            return cls.model_validate(_flat(data))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise UsageError(
                f"the run's request cannot be read ({where}: {fault['msg']}): it is of another version of swe-agent"
            ) from error


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    """A request as it is written today; those of earlier versions held sampling, options and limits apart."""
    if "sampling" not in data:
        return dict(data)
    values = dict(data)
    sampling, options, limits = (values.pop(name) for name in ("sampling", "options", "limits"))
    values.pop("project", None)
    linear = values["search"] == "linear"
    return values | {
        "samples": None if linear else values["samples"],
        "width": values["width"] if values["search"] == "tree" else 4,
        **{name: sampling.get(name) for name in ("temperature", "max_output_tokens", "reasoning_effort")},
        "api_base": options.get("api_base"),
        "fallback_models": options.get("fallbacks", ()),
        "text_mode": bool(options.get("text_mode")),
        "request_timeout": options.get("timeout_s", 600.0),
        "retry_time": options.get("max_retry_s", 300.0),
        "stream": bool(options.get("stream")),
        "token_ids": options.get("token_ids"),
        "budget_usd": limits.get("usd"),
        "budget_tokens": limits.get("tokens"),
        "budget_steps": limits.get("steps"),
        "timeout": limits.get("wall_s"),
        "budget_test_time": limits.get("test_s"),
    }


_TESTS = ("fixed", "broken", "contradicted", "still_failing", "flaky", "changed_tests")
LISTED = (*_TESTS, "marks", "special_cases")
"""Fields of a result that `runs` lists, in the order in which people read them."""


@dataclass(frozen=True, slots=True)
class SolveResult:
    """What came of it."""

    ending: Ending
    status: str
    """One line for people: what was achieved, or why not and what to do."""
    patch: str
    verified: bool
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    """Tests that the patch breaks as they were, and that pass as it changes them: somebody has to look at them."""
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """What hygiene took out of the patch: `path: reason`."""
    changed_tests: tuple[str, ...] = ()
    """Tests, helpers and test configuration that the patch brings or changes; it was judged without them."""
    marks: tuple[str, ...] = ()
    """Signs that the patch reaches for its judge."""
    special_cases: tuple[str, ...] = ()
    """What it answers to the very values of the tests that show the issue, as they expect it: somebody has to look."""
    unrelated: tuple[str, ...] = ()
    """Tests that fail before and after for other reasons than the issue: `test: why`. They decide nothing."""
    evidence: Mapping[str, object] | None = None
    """What the final check ran of what can reach the change (`Evidence.to_json`); None: there was none."""
    leaks: tuple[str, ...] = ()
    """Attempts to look up the solution that the audit found."""
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    run: Path | None = None
    base_commit: str | None = None
    totals: Spent = field(default_factory=Spent)

    @property
    def exit_code(self) -> ExitCode:
        return _CODES[self.ending]

    def to_json(self) -> dict[str, Any]:
        data = {"exit_code": int(self.exit_code), **asdict(self)}
        data["run"] = str(self.run) if self.run else None
        data["patch_path"] = str(self.run / "patch.diff") if self.run and self.patch else None
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SolveResult:
        """The result in a run.json. Raises: UsageError when it is of another version."""
        values = {name: value for name, value in data.items() if name not in ("exit_code", "patch_path")}
        if "ending" not in values:  # of an earlier version
            values["ending"] = next(
                (e for e, code in _CODES.items() if code == data["exit_code"]), "not_verified"
            )
        values["run"] = Path(values["run"]) if values.get("run") else None
        try:
            return cls(**values)
        except TypeError as error:
            raise UsageError(f"the run's result cannot be read: {error}") from error
