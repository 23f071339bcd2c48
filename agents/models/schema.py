"""JSON-schema output: the `response_format` of a pydantic class."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def response_format(wanted: bool | type[BaseModel] | None) -> dict[str, object] | None:
    """OpenAI's `response_format` for a pydantic class (strict JSON schema), for any JSON, or None."""
    if wanted is None or wanted is False:
        return None
    if wanted is True:
        return {"type": "json_object"}
    schema = _strict(wanted.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": wanted.__name__, "schema": schema, "strict": True}}


def _strict(schema: Any) -> Any:
    """As OpenAI's structured outputs demand: every object closed, every property required, no defaults."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {
        key: {name: _strict(sub) for name, sub in value.items()}
        if key in ("properties", "$defs")
        else _strict(value)
        for key, value in schema.items()
        if key != "default"
    }
    if strict.get("type") == "object" and "properties" in strict:
        strict["additionalProperties"] = False
        strict["required"] = list(strict["properties"])
    return strict
