"""The vocabulary of a run: one dataclass per event, in the order in which its fields are written.

Ids are strings unique in the run; `node` names a search node, "" the run itself. Every None is written as
null (and null is never 0) but for a field that is OPTIONAL, which is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from ...tools.toolbox.tool_schema import ToolSchema
from .draft import TokensDraft
from .event import OPTIONAL, Event, JsonObject, event


@event("run_started", key=())
class RunStarted(Event):
    """The optional fields come from a benchmark: such a run is never exported by accident."""

    schema: str
    run_id: str
    issue: JsonObject
    repository: str
    base_commit: str
    config: JsonObject  # Without secrets
    versions: dict[str, str]
    seed: int
    is_llm: bool
    instance_id: str | None = field(default=None, metadata=OPTIONAL)
    source: str | None = field(default=None, metadata=OPTIONAL)
    benchmark: str | None = field(default=None, metadata=OPTIONAL)
    split: str | None = field(default=None, metadata=OPTIONAL)
    licence: str | None = field(default=None, metadata=OPTIONAL)


@event("resumed")
class Resumed(Event):
    """Another process goes on with the run."""

    version: str


@event("inference")
class Inference(Event):
    """What was found out about the project, and the flag that overrides it."""

    what: str
    value: str
    why: str
    flag: str | None


@event("baseline", key=())
class BaselineMeasured(Event):
    """The suite on the base commit."""

    tests: dict[str, str]  # Test id → outcome
    flaky: Sequence[str]
    duration_s: float | None
    runs: int
    whole: bool
    problem: str | None = None  # Why no test ran
    lacking: Sequence[str] = ()  # Modules that tests could not import
    files: Sequence[str] = ()  # Test files that were run to their end
    durations: dict[str, float] = field(default_factory=dict[str, float])
    """Test file → seconds it is known to take: what checks are planned by."""
    unrelated: dict[str, str] = field(
        default_factory=dict[str, str]
    )  # Failing test → why it is not the issue's
    within: dict[str, list[list[int]]] = field(default_factory=dict[str, list[list[int]]])
    """Path → first and last lines that alone may be edited: see `solving.relevance.Belonging`."""


@event("reproduction", key=())
class Reproduced(Event):
    """What the Tester found: `solving.reproduce.Reproduction`."""

    targets: Sequence[str]
    files: dict[str, str]
    generated: Sequence[str]
    summary: str
    refused: Sequence[str]
    weights: dict[str, float]


@event("reproduction_added")
class ReproductionAdded(Event):
    """More tests for the last look at the candidates."""

    targets: Sequence[str]
    files: dict[str, str]
    refused: Sequence[str]


@event("check_planned", key=("check",))
class CheckPlanned(Event):
    """What a check of a patch runs, decided before it runs anything: `solving.plan.CheckPlan`."""

    check: str  # Of the patch, the tests of the issue and whether it is the final check
    whole: bool
    parts: Sequence[Sequence[str]]  # Ids and files of each run, in order
    budget_s: float


@event("toolset", key=("name",))
class Toolset(Event):
    name: str
    tools: Sequence[ToolSchema]


@event("agent", key=("name",))
class Agent(Event):
    name: str
    role: str
    model: str
    toolset: str | None
    is_llm: bool
    sampling: JsonObject


@event("message", key=("id",))
class Said(Event):
    id: str
    parent: str | None
    agent: str
    node: str
    role: str
    content: str
    reasoning: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """{id, type, function {name, arguments (the raw string)}}."""
    tool_call_id: str | None = None
    name: str | None = None
    sampled: bool = False
    error: str | None = None
    images: Sequence[str] | None = field(
        default=None, metadata=OPTIONAL
    )  # sha256:<hex> in pictures/, or a URL


@event("call", key=("scope", "index"))
class Called(Event):
    """One sampled message: `agents.models.calls.Call`, with where it stands."""

    message: str  # Id of the sampled message
    node: str
    agent: str
    tokens: TokensDraft | None  # The delta of this message (`tokens.py`)
    scope: str
    index: int
    request_sha256: str
    model: str
    served_model: str | None
    is_llm: bool
    sampling: JsonObject
    finish_reason: str
    usage: JsonObject
    """{prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_usd}, each or null."""
    latency_s: float
    attempts: int
    response: JsonObject  # What a replay needs to answer again
    prompt_sha256: str | None = None
    """Digest of the messages that were sent: what "exact prompt" is checked against."""
    policy_version: str | None = None


@event("call_failed")
class CallFailed(Event):
    node: str
    agent: str
    scope: str
    index: int
    model: str
    kind: str  # infrastructure | credentials | overflow
    error: str
    attempts: int


@event("call_retried")
class CallRetried(Event):
    node: str
    agent: str
    scope: str
    index: int
    model: str
    error: str
    attempts: int
    wait_s: float


@event("tool", key=("message",))
class ToolUsed(Event):
    message: str  # Id of the tool message
    node: str
    agent: str
    name: str
    arguments: JsonObject
    ok: bool
    text: str | None = field(default=None, metadata=OPTIONAL)
    duration_s: float


@event("nudge")
class Nudge(Event):
    agent: str
    node: str
    reason: str  # What the role was told


@event("compaction")
class Compaction(Event):
    agent: str
    node: str
    kept: int
    dropped: int


@event("hygiene", key=("node", "patch"))
class Cleaned(Event):
    node: str
    patch: str  # SHA-256 of the cleaned patch
    removed: Sequence[str]  # `path: reason`


@event("audit", key=("node",))
class Audited(Event):
    node: str
    flags: Sequence[JsonObject]


@event("outcome")
class Concluded(Event):
    exit_code: int | None
    status: str
    error: str | None = field(default=None, metadata=OPTIONAL)
    why: str | None = field(default=None, metadata=OPTIONAL)
    verified: bool | None
    tests: dict[str, list[str]] | None
    """{fixed, broken, contradicted, still_failing, flaky, changed}: ids; of `changed` files of tests."""


@event("run_finished")
class RunFinished(Event):
    totals: JsonObject
