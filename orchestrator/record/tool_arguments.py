"""parsed: a call's arguments as the record holds them beside their raw text."""

from __future__ import annotations

import json

from ...agents.models.arguments import too_deep


def parsed(arguments: str) -> dict[str, object] | None:
    """The JSON object; None when the text is none, or is nested deeper than any reader takes."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not too_deep(value) else None
