"""SolveRequest: everything that decides how one issue is solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..agents.models.calls import ModelOptions, Sampling
from ..tools.project.spec import Project
from .solving.issue import Comment, Issue

SearchKind = Literal["linear", "best-of-n", "tree"]
Roles = Literal["team", "single"]
OFFLINE = "offline/repair"


@dataclass(frozen=True, slots=True)
class Limits:
    """Budget of a run; None is no limit of that kind."""

    usd: float | None = None
    tokens: int | None = None
    steps: int | None = None
    """Model calls of the whole run."""
    wall_s: float | None = None
    test_s: float | None = None


@dataclass(frozen=True, slots=True)
class SolveRequest:
    """One issue, one repository, and how to go about it. A value: two equal requests with the same seed and
    the same answers of the model give the same patch."""

    issue: Issue
    repository: Path
    """Local checkout or clone; it is read, never written."""
    base: str | None = None
    """Revision to work on; None: HEAD of `repository`."""
    model: str = OFFLINE
    role_models: Mapping[str, str] = field(default_factory=dict[str, str])
    sampling: Sampling = field(default_factory=Sampling)
    options: ModelOptions = field(default_factory=ModelOptions)
    roles: Roles = "team"
    search: SearchKind = "linear"
    samples: int = 1
    width: int = 4
    workers: int = 1
    proposers: tuple[str, ...] = ("llm",)
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    verify: str = "auto"
    """How much is spent on tests: `auto`, `full` or a time (see `solving/check.Verify`)."""
    max_steps: int = 100
    """Model calls of one role turn."""
    critic_samples: int = 1
    """Times the Critic's score is taken; 1: the scores of its review, no further call."""
    repairs: int = 3
    """Debugger turns after the Coder's, per rollout."""
    sandbox: str = "auto"
    image: str | None = None
    network: bool = False
    python: str | None = None
    setup: str | None = None
    test_cmd: str | None = None
    project: Project | None = None
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

    def model_of(self, role: str) -> str:
        return self.role_models.get(role, self.model)

    def models(self) -> set[str]:
        """Every model that the run may call."""
        if self.roles == "single":
            return {self.model_of("single")}
        return {self.model_of(role) for role in ("coder", "tester", "debugger", "critic")}

    def to_json(self) -> dict[str, Any]:
        """For `run.json`: no secrets, no environment."""
        data = asdict(self)
        data["repository"] = str(self.repository)
        data["project"] = None
        data["options"].pop("api_keys", None)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SolveRequest:
        """The request of an earlier run, for `--resume` and `replay`."""
        values: dict[str, Any] = dict(data)
        issue = dict(values.pop("issue"))
        issue["comments"] = tuple(Comment(**comment) for comment in issue["comments"])
        issue["labels"], issue["images"] = tuple(issue["labels"]), tuple(issue["images"])
        options = dict(values.pop("options"))
        options["fallbacks"] = tuple(options.get("fallbacks", ()))
        values |= {
            "issue": Issue(**issue),
            "repository": Path(values["repository"]),
            "sampling": Sampling(**values["sampling"]),
            "options": ModelOptions(**options),
            "limits": Limits(**values["limits"]),
            "proposers": tuple(values["proposers"]),
            "protected": tuple(values["protected"]),
        }
        return cls(**values)


@dataclass(frozen=True, slots=True)
class SolveResult:
    """What came of it. `exit_code` follows the table of `cli/main.py`."""

    exit_code: int
    status: str
    """One line for people: what was achieved, or why not and what to do."""
    patch: str
    verified: bool
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """What hygiene took out of the patch: `path: reason`."""
    unrelated: tuple[str, ...] = ()
    """Tests that fail before and after for other reasons than the issue: `test: why`. They decide nothing."""
    evidence: Mapping[str, Any] | None = None
    """What the final check ran of what can reach the change (`Evidence.to_json`); None: there was none."""
    leaks: tuple[str, ...] = ()
    """Attempts to look up the solution that the audit found."""
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    run: Path | None = None
    base_commit: str | None = None
    totals: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["run"] = str(self.run) if self.run else None
        data["patch_path"] = str(self.run / "patch.diff") if self.run and self.patch else None
        return data
