"""Arguments: a model's tool arguments checked against the tool's JSON schema."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import ToolError
from .tool_schema import JsonSchema

_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}


def check_arguments(schema: JsonSchema, arguments: object) -> dict[str, object]:
    """The arguments as the schema wants them.

    Understands the subset that tools use: type, properties, required, items, enum, minimum, maximum,
    minItems. A null for an optional argument counts as absent; an integral float or a decimal string is
    taken as an integer, and a JSON text as the array or object that it encodes, because models send
    those. Raises: ToolError naming every argument that is missing, unknown or of the wrong type.
    """
    if not isinstance(arguments, Mapping):
        raise ToolError(f"the arguments must be a JSON object, not {_describe(arguments)}")
    problems: list[str] = []
    checked = _object(schema, arguments, "", problems)
    if problems:
        raise ToolError("; ".join(problems) + f". Arguments: {_signature(schema)}")
    return checked


def _object(
    schema: JsonSchema, value: Mapping[Any, Any], where: str, problems: list[str]
) -> dict[str, object]:
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    result: dict[str, object] = {}
    for name in required:
        if value.get(name) is None:
            problems.append(f"missing argument {where}{name}")
    for name, item in value.items():
        if name not in properties:
            close = difflib.get_close_matches(str(name), list(properties), 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            problems.append(f"unknown argument {where}{name}{hint}")
        elif item is not None:
            result[name] = _value(properties[name], item, f"{where}{name}", problems)
    return result


def _value(schema: JsonSchema, value: Any, where: str, problems: list[str]) -> Any:
    kind = schema.get("type")
    value = _coerce(kind, value)
    if not _is(kind, value):
        problems.append(f"{where} must be {_NAMES.get(str(kind), kind)}, not {_describe(value)}")
        return value
    if "enum" in schema and value not in schema["enum"]:
        problems.append(f"{where} must be one of {', '.join(map(str, schema['enum']))}, not {value!r}")
    if kind in ("integer", "number"):
        if "minimum" in schema and value < schema["minimum"]:
            problems.append(f"{where} must be at least {schema['minimum']}, not {value}")
        if "maximum" in schema and value > schema["maximum"]:
            problems.append(f"{where} must be at most {schema['maximum']}, not {value}")
    if kind == "array":
        if len(value) < (least := schema.get("minItems", 0)):
            problems.append(f"{where} must hold at least {least} item(s)")
        items = schema.get("items", {})
        return [_value(items, item, f"{where}[{n}]", problems) for n, item in enumerate(value)]
    if kind == "object":
        return _object(schema, value, f"{where}.", problems)
    return value


def _coerce(kind: object, value: Any) -> Any:
    if kind == "integer":
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 20:
            return int(value)
    if kind in ("array", "object") and isinstance(value, str):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return parsed if _is(kind, parsed) else value
    return value


def _is(kind: object, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, Mapping)
        case _:
            return True


def _describe(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            shown = value if len(value) <= 40 else value[:40] + "…"
            return f"the string {shown!r}"
        case int() | float():
            return f"the number {value}"
        case list():
            return "an array"
        case Mapping():
            return "an object"
        case _:
            return type(value).__name__


def _signature(schema: JsonSchema) -> str:
    required = schema.get("required", ())
    parts = [
        f"{name}{'' if name in required else '?'}: {item.get('type', 'any')}"
        for name, item in schema.get("properties", {}).items()
    ]
    return "{" + ", ".join(parts) + "}"
