"""ToolSchema: a tool as it is offered to a model, OpenAI's function shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict


class JsonSchema(TypedDict, total=False):
    """The subset of JSON Schema that tools use. A schema of an installed package may hold more: it is passed on."""

    type: str
    description: str
    properties: Mapping[str, JsonSchema]
    required: Sequence[str]
    additionalProperties: bool
    items: JsonSchema
    minItems: int
    enum: Sequence[object]
    minimum: float
    maximum: float


class FunctionSchema(TypedDict):
    name: str
    description: NotRequired[str]
    parameters: NotRequired[JsonSchema]
    strict: NotRequired[bool]


class ToolSchema(TypedDict):
    type: Literal["function"]
    function: FunctionSchema
