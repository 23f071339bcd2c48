"""The frames between the product, the zygote and the holders.

A request is a marshalled dictionary (both ends are the same interpreter; it only flows towards the
holder). A reply is a fixed header and raw bytes, so that nothing from a holder is ever unmarshalled.
"""

from __future__ import annotations

import _socket
import marshal
import os
import struct
from typing import Any

_REQUEST = struct.Struct("!I")
_REPLY = struct.Struct("!iidBQ")
MOST_FDS = 64
"""Descriptors that one frame may carry; the kernel allows 253."""

TIMED_OUT, TRUNCATED, DIRTY_REPO, DIRTY_PRIVATE = 1, 2, 4, 8


def send_request(sock: _socket.socket, request: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    body = marshal.dumps(request)
    _send(sock, _REQUEST.pack(len(body)) + body, fds)


def receive_request(sock: _socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request and the descriptors that came with it; None at the end of the stream."""
    head, fds = _receive(sock, _REQUEST.size)
    if len(head) < _REQUEST.size:
        return None
    (length,) = _REQUEST.unpack(head)
    body, more = _receive(sock, length)
    return (marshal.loads(body), fds + more) if len(body) == length else None


def send_reply(
    sock: _socket.socket,
    code: int = 0,
    errno: int = 0,
    duration: float = 0.0,
    flags: int = 0,
    payload: bytes = b"",
    fds: tuple[int, ...] = (),
) -> None:
    """`errno` is non-zero for a request that failed; the payload is the reason then."""
    head = _REPLY.pack(code, errno, duration, flags, len(payload))
    _send(sock, head + payload if len(payload) < 1 << 16 else head, fds)
    if len(payload) >= 1 << 16:
        sock.sendall(payload)


def receive_reply(sock: _socket.socket) -> tuple[int, int, float, int, bytes, list[int]] | None:
    """code, errno, duration, flags, payload, descriptors; None when the other end is gone."""
    head, fds = _receive(sock, _REPLY.size)
    if len(head) < _REPLY.size:
        return None
    code, errno, duration, flags, length = _REPLY.unpack(head)
    payload, more = _receive(sock, length)
    if len(payload) < length:
        for fd in fds + more:
            os.close(fd)
        return None
    return code, errno, duration, flags, payload, fds + more


def _send(sock: _socket.socket, data: bytes, fds: tuple[int, ...]) -> None:
    sent = 0
    if fds:
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
        sent = sock.sendmsg([data], rights)
    if sent < len(data):
        sock.sendall(data[sent:])


def _receive(sock: _socket.socket, length: int) -> tuple[bytes, list[int]]:
    """`length` bytes, fewer at the end of the stream, and the descriptors among them."""
    data = bytearray()
    fds: list[int] = []
    while len(data) < length:
        chunk, ancillary, _, _ = sock.recvmsg(
            min(length - len(data), 1 << 20), _socket.CMSG_SPACE(4 * MOST_FDS), _socket.MSG_CMSG_CLOEXEC
        )
        for level, kind, rights in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                count = len(rights) // 4
                fds += struct.unpack(f"{count}i", rights[: 4 * count])
        if not chunk:
            break
        data += chunk
    return bytes(data), fds
