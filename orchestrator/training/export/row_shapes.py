"""The rows of an export by kind, as `verify` reads them back. What is `object` is checked there."""

from __future__ import annotations

from typing import TypedDict


class WithTools(TypedDict):
    tools: object
    """A JSON string of a list."""


class SftRow(WithTools):
    messages: object
    metadata: object
    """A JSON string."""


class CompletionRow(WithTools):
    prompt: object
    completion: object


class KtoRow(CompletionRow):
    label: object


class TokenRow(TypedDict):
    input_ids: list[int]
    labels: list[int]


class DpoRow(WithTools):
    prompt: object
    chosen: object
    rejected: object
    margin: float


class RewardRow(WithTools):
    chosen: object
    rejected: object
    margin: float


class SaidText(TypedDict):
    content: str


class OrmRow(TypedDict):
    prompt: object
    completion: list[SaidText]
    label: bool


class PrmRow(TypedDict):
    completions: list[object]
    labels: list[object]
    values: list[object]
    rewards: list[object]
    advantages: list[object]


class GrpoRow(TypedDict):
    prompt: object
    fail_to_pass: object
    test_files: str
    """The JSON of an object."""


class RolloutRow(TypedDict):
    completion_ids: list[int] | None
    env_mask: list[int] | None
    logprobs: list[float] | None
    reward: object


class AcecoderRow(TypedDict):
    prompt: object
    chosen: object
    rejected: object
    chosen_rate: float
    rejected_rate: float


class CureRow(TypedDict):
    prompt: object
    completion: object
    reward: float


class PredictionRow(TypedDict):
    model_patch: object
