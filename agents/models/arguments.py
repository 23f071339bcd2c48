"""Arguments: the JSON object that a model meant, from the text that it wrote.

Read are texts that mean one object beyond doubt: encoded twice, with raw newlines in strings, in a fence,
followed by a template's end mark, or as a Python dict. A text that was cut is never completed: half an edit is
no edit.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_DECODER = json.JSONDecoder(strict=False)
_FENCED = re.compile(r"\s*```[a-z]*[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)
_NESTED = 3
MOST_DEPTH = 64
"""Of objects and arrays in each other: more is no argument of any tool, and costs every later reader its stack."""


def read_arguments(text: str) -> dict[str, object] | None:
    """The arguments; None when the text means no object, or more than one. Empty text and null mean {}."""
    value: Any = text
    for _ in range(_NESTED):
        if not isinstance(value, str):
            break
        value = _read(value)
    if value is None and text.strip() in ("", "null", "None"):
        return {}
    return value if isinstance(value, dict) and not too_deep(value) else None


def too_deep(value: Any) -> bool:
    """Whether a JSON value is nested more than `MOST_DEPTH` deep."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            item
            for one in level
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def _read(text: str) -> Any:
    fenced = _FENCED.fullmatch(text)
    text = (fenced[1] if fenced else text).strip()
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return _python(text)
    rest = text[end:].strip()
    if rest[:1] in ("{", "["):
        # Two objects are two calls in one, unless the model only repeats itself.
        return value if rest == text[:end] else None
    return value


def _python(text: str) -> Any:
    if not text.startswith("{'") or len(text) > 100_000:
        return None
    try:
        value = ast.literal_eval(text)
        json.dumps(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value


def why_not(text: str) -> str:
    """What is wrong with arguments that cannot be read."""
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        return str(error)
    except RecursionError:
        return "they are nested too deeply"
    if isinstance(value, dict):
        return f"they are nested more than {MOST_DEPTH} deep"
    return f"they are {type(value).__name__}, not an object"


def sendable(text: str) -> str:
    """Arguments that every endpoint can parse: the text itself where it is an object, else what it means, else
    an object that holds it."""
    try:
        if isinstance(json.loads(text), dict):
            return text
    except (ValueError, RecursionError):
        pass
    meant = read_arguments(text)
    return json.dumps({"invalid_json": text} if meant is None else meant, ensure_ascii=False)
