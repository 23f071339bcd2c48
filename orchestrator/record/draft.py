"""The parts of a record while it is put together: the shapes of `schema.py` before they are validated.

What is absent gets the schema's default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict


class TaskDraft(TypedDict, total=False):
    instance_id: str
    repository: str | None
    base_commit: str | None
    problem_statement: str
    issue_url: str | None
    source: str | None
    benchmark: str | None
    split: str | None
    licence: str | None
    fail_to_pass: list[str] | None
    test_files: dict[str, str]
    later_tests: dict[str, str]
    test_cmd: str | None
    setup: str | None
    python: str | None
    image: str | None


class AgentDraft(TypedDict):
    name: str
    role: str
    model: str
    is_llm: bool
    sampling: NotRequired[Mapping[str, object]]
    toolset: NotRequired[str | None]


class ToolsetDraft(TypedDict):
    name: str
    tools: Sequence[object]


class TokensDraft(TypedDict):
    """See `schema.Tokens`."""

    tokenizer: str | None
    token_ids: list[int]
    mask: list[int]
    logprobs: list[float] | None
    context_ids: NotRequired[list[int] | None]


class SaidDraft(TypedDict):
    """What a message says."""

    role: str
    content: Any
    """Text, or parts."""
    reasoning: NotRequired[str | None]
    tool_calls: NotRequired[Sequence[Mapping[str, object]]]
    tool_call_id: NotRequired[str | None]
    name: NotRequired[str | None]
    sampled: NotRequired[bool]
    at: NotRequired[float | None]
    error: NotRequired[str | None]
    images: NotRequired[Sequence[str]]
    tokens: NotRequired[TokensDraft | None]


class MessageDraft(SaidDraft):
    id: str
    parent: str | None
    agent: str
    node: str | None


class ModelCallDraft(TypedDict):
    message: str
    """Id of the sampled message."""
    model: str
    is_llm: bool
    usage: Mapping[str, int | float | None]
    served_model: NotRequired[str | None]
    policy_version: NotRequired[str | None]
    sampling: NotRequired[Mapping[str, object]]
    finish_reason: NotRequired[str | None]
    latency_s: NotRequired[float | None]
    attempts: NotRequired[int | None]
    prompt_sha256: NotRequired[str | None]


class RewardDraft(TypedDict):
    total: float | None
    components: Mapping[str, Mapping[str, object]]
    spec: str | None


class NodeDraft(TypedDict):
    id: str
    kind: str
    depth: int
    parent: NotRequired[str | None]
    agent: NotRequired[str | None]
    seed: NotRequired[int | str | None]
    tips: NotRequired[dict[str, str]]
    visits: NotRequired[int | None]
    value: NotRequired[float | None]
    critic: NotRequired[Mapping[str, object] | None]
    verifier: NotRequired[Mapping[str, object] | None]
    reward: NotRequired[RewardDraft | None]
    patch: NotRequired[str | None]
    tree_hash: NotRequired[str | None]
    terminal: NotRequired[bool]
    duplicate_of: NotRequired[str]
    exit_status: NotRequired[str | None]
    flags: NotRequired[list[str]]
    wall_s: NotRequired[float | None]


class EvaluationDraft(TypedDict):
    node: str | None
    kind: str
    valid: bool
    f2p: NotRequired[Sequence[int] | None]
    p2p: NotRequired[Sequence[int] | None]
    tests: NotRequired[dict[str, str]]
    before: NotRequired[object]
    after: NotRequired[object]
    wall_s: NotRequired[float | None]


class PatchDraft(TypedDict):
    id: str
    node: str | None
    text: str
    sha256: str
    normalised_hash: NotRequired[str | None]
    files: NotRequired[list[str]]
    removed_by_hygiene: NotRequired[list[str]]


class SelectedDraft(TypedDict):
    node: str | None
    patch: str | None
    confidence: NotRequired[object]
    reasons: NotRequired[list[str]]


class OutcomeDraft(TypedDict, total=False):
    exit_code: int | None
    status: str | None
    verified: bool | None
    resolved: bool | None
    tests: dict[str, list[str]]


class ProvenanceDraft(TypedDict, total=False):
    versions: dict[str, str]
    config: Mapping[str, object]
    seed: int | None
    started_at: float | None
    finished_at: float | None
    replayed: bool


class TotalsDraft(TypedDict):
    calls: int
    failed_calls: NotRequired[int]
    prompt_tokens: int | float | None
    completion_tokens: int | float | None
    cost_usd: NotRequired[float | None]
    wall_s: NotRequired[float | None]


class PartsDraft(TypedDict):
    """A record without what names it."""

    agents: list[AgentDraft]
    toolsets: list[ToolsetDraft]
    messages: list[MessageDraft]
    calls: list[ModelCallDraft]
    nodes: list[NodeDraft]
    evaluations: list[EvaluationDraft]
    patches: list[PatchDraft]
    selected: NotRequired[SelectedDraft | None]
    outcome: OutcomeDraft
    provenance: ProvenanceDraft
    totals: TotalsDraft
    losses: NotRequired[list[str]]


class RecordDraft(PartsDraft):
    run_id: str
    task: TaskDraft
