"""Forges: issues in, pull requests out. The names here are what the rest of the product uses."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cloning import clone
    from .fetch import fetch_issue
    from .pull_request import open_pull_request
    from .reference import Reference, parse_reference
    from .tokens import TokenSource

_WHERE = {
    "Reference": "reference",
    "TokenSource": "tokens",
    "clone": "cloning",
    "fetch_issue": "fetch",
    "open_pull_request": "pull_request",
    "parse_reference": "reference",
}
__all__ = ["Reference", "TokenSource", "clone", "fetch_issue", "open_pull_request", "parse_reference"]


def __getattr__(name: str) -> Any:
    # httpx is loaded when a forge is first spoken to, not when a command is looked up.
    if name in _WHERE:
        return getattr(import_module(f".{_WHERE[name]}", __package__), name)
    raise AttributeError(f"module {__name__} has no {name}")
