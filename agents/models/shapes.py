"""Shapes: ways of saying the same that some endpoints refuse, and how each is avoided.

A shape is one name in `Request.leave_out`, beside the parameters. Seen in the wild: no system role (Gemma
templates, o1), no user message after a tool's result (Mistral), none after another user message (many chat
templates), no null content (Bedrock gateways), no blank content (Anthropic), ids of nine letters and digits
(Mistral), one call per message (llama.cpp templates), few JSON-schema keywords (Gemini), no control characters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ...tools.toolbox.tool_schema import ToolSchema
from .encoder import Chat, Piece, piece_of

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_ID = re.compile(r"[A-Za-z0-9]{9}")
_KEYWORDS = frozenset({"type", "properties", "required", "items", "enum", "description"})

Chats = list[Chat]


def _system_in_user(chats: Chats) -> Chats:
    told = "\n\n".join(_text(chat) for chat in chats if chat["role"] == "system")
    rest = [chat for chat in chats if chat["role"] != "system"]
    for at, chat in enumerate(rest):
        if chat["role"] == "user" and isinstance(chat["content"], str):
            rest[at] = {**chat, "content": f"{told}\n\n{chat['content']}"}
            return rest
    return [{"role": "user", "content": told}, *rest]


def _joined(roles: tuple[str, str]) -> Callable[[Chats], Chats]:
    """Put the words of a user message at the end of the message before it."""

    def change(chats: Chats) -> Chats:
        found: Chats = []
        for chat in chats:
            before = found[-1] if found else None
            if (
                before is not None
                and (before["role"], chat["role"]) == roles
                and isinstance(before["content"], str)
                and isinstance(chat["content"], str)
            ):
                found[-1] = {**before, "content": f"{before['content']}\n\n{chat['content']}"}
            else:
                found.append(chat)
        return found

    return change


def _words_beside_calls(chats: Chats) -> Chats:
    return [
        {**chat, "content": f"I call {', '.join(c['function']['name'] for c in chat['tool_calls'])}."}
        if chat.get("tool_calls") and not chat["content"]
        else chat
        for chat in chats
    ]


def _no_blank(chats: Chats) -> Chats:
    return [
        {**chat, "content": "(nothing)"}
        if isinstance(chat["content"], str) and not chat["content"].strip()
        else chat
        for chat in chats
    ]


def _short_ids(chats: Chats) -> Chats:
    def short(id: object) -> str:
        text = str(id)
        return (
            text if _ID.fullmatch(text) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:9]
        )

    found: Chats = []
    for chat in chats:
        if chat.get("tool_calls"):
            calls = [{**call, "id": short(call["id"])} for call in chat["tool_calls"]]
            chat = {**chat, "tool_calls": calls}
        elif chat["role"] == "tool":
            chat = {**chat, "tool_call_id": short(chat["tool_call_id"])}
        found.append(chat)
    return found


def _one_call_each(chats: Chats) -> Chats:
    """A message of several calls becomes one message per call, each followed by its result."""
    results = {chat["tool_call_id"]: chat for chat in chats if chat["role"] == "tool"}
    several = {
        call["id"] for chat in chats if len(chat.get("tool_calls") or ()) > 1 for call in chat["tool_calls"]
    }
    found: Chats = []
    for chat in chats:
        calls = chat.get("tool_calls") or ()
        if len(calls) > 1:
            for number, call in enumerate(calls):
                found.append({**chat, "content": None if number else chat["content"], "tool_calls": [call]})
                if call["id"] in results:
                    found.append(results[call["id"]])
        elif chat["role"] != "tool" or chat["tool_call_id"] not in several:
            found.append(chat)
    return found


def _no_control(chats: Chats) -> Chats:
    return [
        {**chat, "content": _CONTROL.sub("?", chat["content"])} if isinstance(chat["content"], str) else chat
        for chat in chats
    ]


def _no_images(chats: Chats) -> Chats:
    return [
        chat
        if isinstance(chat["content"], str) or chat["content"] is None
        else {**chat, "content": _text(chat)}
        for chat in chats
    ]


def _pairs(chats: Chats) -> Iterator[tuple[str, str]]:
    return ((one["role"], other["role"]) for one, other in pairwise(chats))


_SHAPES: Mapping[str, tuple[Callable[[Chats], bool], Callable[[Chats], Chats]]] = {
    "parallel_calls": (
        lambda chats: any(len(chat.get("tool_calls") or ()) > 1 for chat in chats),
        _one_call_each,
    ),
    "null_content": (lambda chats: any(chat["content"] is None for chat in chats), _words_beside_calls),
    "blank_content": (
        lambda chats: any(isinstance(c["content"], str) and not c["content"].strip() for c in chats),
        _no_blank,
    ),
    "images": (
        lambda chats: any(isinstance(chat["content"], list) for chat in chats),
        _no_images,
    ),
    "call_ids": (
        lambda chats: any(
            not _ID.fullmatch(str(call["id"])) for chat in chats for call in chat.get("tool_calls") or ()
        ),
        _short_ids,
    ),
    "system": (lambda chats: any(chat["role"] == "system" for chat in chats), _system_in_user),
    "user_after_tool": (lambda chats: ("tool", "user") in _pairs(chats), _joined(("tool", "user"))),
    "users_in_a_row": (lambda chats: ("user", "user") in _pairs(chats), _joined(("user", "user"))),
    "control_characters": (
        lambda chats: any(isinstance(c["content"], str) and _CONTROL.search(c["content"]) for c in chats),
        _no_control,
    ),
}
SHAPES = frozenset(_SHAPES)


def shapes_of(pieces: Sequence[Piece]) -> frozenset[str]:
    """The shapes that these messages have."""
    chats = [piece.chat for piece in pieces]
    return frozenset(name for name, (has, _) in _SHAPES.items() if has(chats))


def without(pieces: Sequence[Piece], names: frozenset[str]) -> list[Piece]:
    """The same messages in other words, without the shapes in `names`."""
    wanted = names & SHAPES
    if not wanted:
        return list(pieces)
    chats = [piece.chat for piece in pieces]
    for name, (has, change) in _SHAPES.items():
        if name in wanted and has(chats):
            chats = change(chats)
    kept = {id(piece.chat): piece for piece in pieces}
    return [kept[id(chat)] if id(chat) in kept else piece_of(chat) for chat in chats]


def plain_tools(tools: Sequence[ToolSchema]) -> list[ToolSchema]:
    """Tools whose schemas hold the commonest keywords alone."""
    return [
        {
            **tool,
            "function": {**tool["function"], "parameters": _plain(tool["function"].get("parameters") or {})},
        }
        for tool in tools
    ]


def has_keywords(tools: Sequence[ToolSchema]) -> bool:
    """Whether a schema holds others."""
    return any((tool["function"].get("parameters") or {}) != plain["function"].get("parameters")
               for tool, plain in zip(tools, plain_tools(tools), strict=True))  # fmt: skip


def _plain(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, object] = {}
    for key, value in schema.items():
        if key not in _KEYWORDS:
            continue
        if key == "properties" and isinstance(value, Mapping):
            found[key] = {name: _plain(inner) for name, inner in value.items()}
        else:
            found[key] = _plain(value)
    return found


def _text(chat: Chat) -> str:
    content = chat["content"]
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "[image left out]")) for part in content)
    return content or ""
