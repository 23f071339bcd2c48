"""The canonical record, `swe-trajectory/1`: one run, one search tree, one JSON line.

Every field that may be unknown is null then, and null is never 0. The invariants that tie the parts
together are in `invariants.py`; `json_schema()` is what is written beside every file of records.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "swe-trajectory/1"

Passed = tuple[int, int]
"""(passed, total)."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Task(Part):
    """What was to be solved."""

    instance_id: str
    repository: str | None = None
    base_commit: str | None = None
    problem_statement: str
    issue_url: str | None = None
    source: str | None = None
    """Where the task comes from: forge, file, text, dataset."""
    benchmark: str | None = None
    split: str | None = None
    licence: str | None = None
    fail_to_pass: list[str] | None = None
    """Tests that the run took to decide, as far as they may be known to who trains; never gold data."""
    test_files: dict[str, str] = Field(default_factory=dict)
    """Path → text of the tests that the run itself wrote to reproduce the issue."""
    later_tests: dict[str, str] = Field(default_factory=dict)
    """Path → text of those that it wrote later, to choose among its candidates."""
    test_cmd: str | None = None
    setup: str | None = None
    python: str | None = None
    image: str | None = None


class Agent(Part):
    name: str
    role: str
    model: str
    is_llm: bool
    """False: a program (the offline repair engine, a script) wrote the messages."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    toolset: str | None = None


class Toolset(Part):
    name: str
    tools: list[dict[str, Any]]
    """OpenAI function schemas, as they were offered."""


class Function(Part):
    name: str
    arguments: str
    """The raw string that was sampled."""


class ToolCall(Part):
    id: str
    type: Literal["function"] = "function"
    function: Function
    arguments_parsed: dict[str, Any] | None = None
    """Null: the raw string is not a JSON object."""


class Tokens(Part):
    """Exact ids, only where the endpoint reported them. The delta of one sampled message: everything
    between the previous sampled message of the path and the end of this one."""

    tokenizer: str | None = None
    token_ids: list[int]
    mask: list[int]
    """1: sampled by the policy; 0: context (templates, tool results). As long as `token_ids`."""
    logprobs: list[float] | None = None
    """One per sampled token (`sum(mask)`)."""
    context_ids: list[int] | None = None
    """Only where the endpoint's prompt is not the concatenation of the deltas above (a chat template
    that drops earlier reasoning): the whole ids before `token_ids`, which starts a new segment."""


class Message(Part):
    id: str
    parent: str | None = None
    agent: str
    node: str | None = None
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] = ""
    reasoning: str | None = None
    tool_calls: list[ToolCall] = Field(default_factory=list)
    tool_call_id: str | None = None
    name: str | None = None
    sampled: bool = False
    at: float | None = None
    """When it was written down, in seconds since 1970 (UTC)."""
    error: str | None = None
    images: list[str] = Field(default_factory=list)
    """Pictures that followed the text: `sha256:<hex>` of files in the run's `pictures/`, or URLs."""
    tokens: Tokens | None = None


class Usage(Part):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


class ModelCall(Part):
    """The call that sampled `message`."""

    message: str
    model: str
    served_model: str | None = None
    policy_version: str | None = None
    is_llm: bool
    sampling: dict[str, Any] = Field(default_factory=dict)
    finish_reason: str | None = None
    usage: Usage = Field(default_factory=Usage)
    latency_s: float | None = None
    attempts: int | None = None
    prompt_sha256: str | None = None
    """Digest of the messages that were sent (`graph.prompt_sha256`); null: not captured."""


class Component(Part):
    value: float | None
    weight: float


class Reward(Part):
    total: float | None
    components: dict[str, Component]
    spec: str | None = None


class Critic(Part):
    mean: float | None
    sd: float | None = None
    k: int | None = None
    rationale: str | None = None


class Opinion(Part):
    """Of a trained verifier."""

    verifier: str
    probability: float | None
    """Calibrated, that the patch is right; null: it abstained, or could not be asked."""
    sd: float | None = None
    why: str = ""


Status = Literal["finished", "limit", "failed", "infrastructure", "duplicate"]


class Node(Part):
    id: str
    parent: str | None = None
    kind: str
    agent: str | None = None
    depth: int = 0
    seed: int | str | None = None
    tips: dict[str, str] = Field(default_factory=dict)
    """Agent → its last message in this node."""
    visits: int | None = None
    """Finished nodes in the subtree whose reward was measured."""
    value: float | None = None
    """Mean reward of those, null when none was measured."""
    critic: Critic | None = None
    verifier: Opinion | None = None
    reward: Reward | None = None
    patch: str | None = None
    tree_hash: str | None = None
    terminal: bool = False
    duplicate_of: str | None = None
    exit_status: Status | None = None
    """Null: the run ended before the node did."""
    flags: list[str] = Field(default_factory=list)
    wall_s: float | None = None
    """Seconds from the node's beginning to its end."""


class Evaluation(Part):
    node: str | None
    """Null: about the run itself (the base commit)."""
    kind: Literal["visible", "reproduction", "regression", "lint", "coverage", "hidden"]
    f2p: Passed | None = None
    p2p: Passed | None = None
    tests: dict[str, str] = Field(default_factory=dict)
    """Test id → outcome."""
    before: Any = None
    after: Any = None
    wall_s: float | None = None
    valid: bool
    """False: the evaluation itself failed and says nothing about the patch."""


class PatchEntry(Part):
    id: str
    node: str | None = None
    text: str
    sha256: str | None = None
    normalised_hash: str | None = None
    files: list[str] = Field(default_factory=list)
    removed_by_hygiene: list[str] = Field(default_factory=list)


class Selected(Part):
    node: str | None = None
    patch: str | None = None
    confidence: Any = None
    reasons: list[str] = Field(default_factory=list)


class Outcome(Part):
    exit_code: int | None = None
    status: str | None = None
    verified: bool | None = None
    """The tests that were run pass; null: none were run."""
    resolved: bool | None = None
    """By a hidden evaluation of the selected node; null: there was none."""
    tests: dict[str, list[str]] = Field(default_factory=dict)


class Provenance(Part):
    versions: dict[str, str] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    replayed: bool = False


class Totals(Part):
    calls: int
    failed_calls: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    wall_s: float | None = None


class Trajectory(Part):
    schema_version: Literal["swe-trajectory/1"] = SCHEMA
    run_id: str
    task: Task
    agents: list[Agent]
    toolsets: list[Toolset]
    messages: list[Message]
    calls: list[ModelCall]
    nodes: list[Node]
    evaluations: list[Evaluation]
    patches: list[PatchEntry]
    selected: Selected | None = None
    outcome: Outcome
    provenance: Provenance
    totals: Totals
    losses: list[str] = Field(default_factory=list)
    """What could not be kept, in words (a cut-off last event, bytes that are not text)."""


def json_schema() -> str:
    """The JSON Schema of a record, as text with a trailing newline; the same bytes each time."""
    return json.dumps(Trajectory.model_json_schema(), indent=2, sort_keys=True) + "\n"
