"""Conversation: the messages of one agent, as an append-only path in the run's message graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from .message import Message


@dataclass(frozen=True, slots=True)
class Entry:
    """One message and its place in the graph."""

    id: str
    message: Message


@dataclass(slots=True)
class Conversation:
    """The exact prompt of the next call. Forks share every entry; an entry is never changed."""

    entries: list[Entry] = field(default_factory=list[Entry])

    @property
    def tip(self) -> str | None:
        """Id of the last message."""
        return self.entries[-1].id if self.entries else None

    @property
    def messages(self) -> list[Message]:
        return [entry.message for entry in self.entries]

    def append(self, id: str, message: Message) -> None:
        self.entries.append(Entry(id, message))

    def fork(self) -> Conversation:
        return Conversation(list(self.entries))
