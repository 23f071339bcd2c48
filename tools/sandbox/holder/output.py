"""Output: the head and the tail of a stream, in memory that does not grow with it."""

from __future__ import annotations


class BoundedOutput:
    """Keeps the first and the last `limit // 2` bytes of what is fed to it."""

    def __init__(self, limit: int) -> None:
        self._head_limit = max(limit // 2, 1)
        self._tail_limit = max(limit - self._head_limit, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail += data
        if len(self._tail) > 2 * self._tail_limit:
            self._trim()

    def _trim(self) -> None:
        excess = len(self._tail) - self._tail_limit
        if excess > 0:
            self._dropped += excess
            del self._tail[:excess]

    @property
    def truncated(self) -> bool:
        return self._dropped > 0 or len(self._tail) > self._tail_limit

    def value(self) -> bytes:
        """Head and tail, with a line between them that says how many bytes are missing."""
        self._trim()
        if not self._dropped:
            return bytes(self._head + self._tail)
        return bytes(self._head) + b"\n[... %d bytes dropped ...]\n" % self._dropped + bytes(self._tail)
