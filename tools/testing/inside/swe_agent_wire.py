"""Messages between the coordinator and frozen processes, and what a fork must not share with its parent.
Python 3.6 or newer."""

import array
import fcntl
import json
import os
import socket
import stat
import tempfile


def send(sock, message, fds=()):
    data = json.dumps(message).encode("utf-8", "surrogateescape")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    size = len(data).to_bytes(4, "big")
    sock.sendmsg([size], ancillary)
    sock.sendall(data)


def receive(sock):
    """(message, descriptors); (None, []) at the end of the stream."""
    fds = array.array("i")
    head, ancillary, _, _ = sock.recvmsg(4, socket.CMSG_LEN(4 * fds.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    while head and len(head) < 4:
        head += sock.recv(4 - len(head))
    if not head:
        return None, []
    left = int.from_bytes(head, "big")
    parts = []
    while left:
        part = sock.recv(min(left, 1 << 20))
        if not part:
            return None, list(fds)
        parts.append(part)
        left -= len(part)
    return json.loads(b"".join(parts).decode("utf-8", "surrogateescape")), list(fds)


def private_files():
    """Give this process its own copy of every open regular file: a position shared with the sleeping
    process would move under its later runs."""
    copies = {}
    try:
        names = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return
    for fd in names:
        try:
            info = os.fstat(fd)
        except OSError:
            continue
        if not stat.S_ISREG(info.st_mode):
            continue
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        offset = os.lseek(fd, 0, os.SEEK_CUR)
        key = (info.st_dev, info.st_ino, flags, offset)
        inheritable = os.get_inheritable(fd)
        if key in copies:
            os.dup2(copies[key], fd, inheritable)
            continue
        if info.st_nlink == 0:
            with tempfile.TemporaryFile() as file:
                at = 0
                while True:
                    data = os.pread(fd, 1 << 20, at) if _readable(flags) else b""
                    if not data:
                        break
                    os.write(file.fileno(), data)
                    at += len(data)
                os.lseek(file.fileno(), offset, os.SEEK_SET)
                os.dup2(file.fileno(), fd, inheritable)
        else:
            try:
                again = os.open("/proc/self/fd/%d" % fd, flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC))
            except OSError:
                continue
            os.lseek(again, offset, os.SEEK_SET)
            os.dup2(again, fd, inheritable)
            os.close(again)
        copies[key] = fd


def _readable(flags):
    return flags & os.O_ACCMODE in (os.O_RDONLY, os.O_RDWR)
