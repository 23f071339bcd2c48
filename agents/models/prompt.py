"""Prompt: a conversation as encoded so far, with all that every call wants to know of the whole of it.

A conversation grows at its end, so size, digests and ids are carried forward and a call pays for the new
messages only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..message import Message
from .encoder import Encoder, Piece
from .prompt_digest import ROOT


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one call sends."""

    pieces: list[Piece]
    size: int
    """Bytes of all pieces."""
    call_ids: frozenset[str]
    """Ids of the tool calls in it."""
    digest: bytes
    """SHA-256 over what the messages say."""
    chain: str
    """`prompt_digest.prompt_sha256`."""


class History:
    """One conversation; starts anew when it is given another (a compaction, a fork)."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._reset()

    def _reset(self) -> None:
        self._messages: list[Message] = []
        self._pieces: list[Piece] = []
        self._size = 0
        self._ids: set[str] = set()
        self._said: Any = hashlib.sha256()
        self._chain = ROOT

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """Take in `messages`, which usually begin with those of the call before."""
        known = len(self._messages)
        # Lists compare their items by identity first, so this costs microseconds.
        if len(messages) < known or list(messages[:known]) != self._messages:
            self._reset()
            known = 0
        for piece in self._encoder.pieces(messages[known:]):
            self._pieces.append(piece)
            self._size += len(piece.wire)
            self._ids.update(piece.call_ids)
            self._said.update(piece.digest)
            self._chain = hashlib.sha256(self._chain + piece.link).digest()
        self._messages = list(messages)
        return Prompt(
            list(self._pieces),
            self._size,
            frozenset(self._ids),
            self._said.copy().digest(),
            self._chain.hex(),
        )
