"""What commands hold without a process or a tree that shows it: memory of the kernel, files without a name."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator, Sequence

from . import kernel

_FREE_SOCKETS, _SOCKET_BYTES = 64, 512 << 10
_MESSAGE_BYTES, _QUEUE_BYTES = 96, 512
"""What the kernel keeps of a System V message and queue beside the text."""
_LARGEST_TABLE = 8 << 20


def shared_bytes() -> int:
    """Memory that outlives the processes that map it: files of /dev/shm, System V segments and messages."""
    total = 0
    try:
        shm = os.statvfs("/dev/shm")
        total = (shm.f_blocks - shm.f_bfree) * shm.f_frsize
    except OSError:
        pass
    for row in _rows("/proc/sysvipc/shm"):
        total += row.get(b"rss", 0)
    for row in _rows("/proc/sysvipc/msg"):
        total += row.get(b"cbytes", 0) + row.get(b"qnum", 0) * _MESSAGE_BYTES + _QUEUE_BYTES
    return total


def remove_segments() -> None:
    """Remove the System V segments and queues of this namespace: no process that runs has made them."""
    for row in _rows("/proc/sysvipc/shm"):
        kernel.remove_segment(row.get(b"shmid", -1))
    for row in _rows("/proc/sysvipc/msg"):
        kernel.remove_queue(row.get(b"msqid", -1))


def _rows(path: str) -> Iterator[dict[bytes, int]]:
    """A table of /proc/sysvipc, column -> number; a command may have made thousands of rows."""
    lines = read_file(path, _LARGEST_TABLE).splitlines()
    names = lines[0].split() if lines else []
    for line in lines[1:]:
        yield {name: int(value) for name, value in zip(names, line.split(), strict=False) if value.isdigit()}


def commands() -> list[str]:
    """Numbers of the processes of this namespace, without its first."""
    return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def unlinked_bytes(pids: Sequence[str]) -> int:
    """Disk held by files that are open or mapped and have no name any more: no walk of the tree finds them."""
    files: dict[tuple[int, int], int] = {}
    try:
        shm = os.stat("/dev/shm").st_dev
    except OSError:
        shm = -1
    for pid in pids:
        try:
            opened = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue  # it ended
        for descriptor in opened:
            try:
                status = os.stat(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if status.st_nlink == 0 and stat.S_ISREG(status.st_mode) and status.st_dev != shm:
                files[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(files.values()) + _mapped_unlinked(pids, {inode for _, inode in files})


def _mapped_unlinked(pids: Sequence[str], inodes: Container[int]) -> int:
    """Of files that are only mapped (not among `inodes`) the kernel tells the mapped part."""
    found: dict[bytes, int] = {}
    for pid in pids:
        for line in read_file(f"/proc/{pid}/maps", _LARGEST_TABLE).splitlines():
            if not line.endswith(b"(deleted)"):
                continue
            fields = line.split(None, 5)
            if fields[5].startswith((b"/dev/", b"/SYSV", b"/memfd:")) or int(fields[4]) in inodes:
                continue
            first, last = fields[0].split(b"-")
            found[fields[3] + fields[4] + fields[2]] = int(last, 16) - int(first, 16)
    return sum(found.values())


def socket_bytes() -> int:
    """What the sockets of this network namespace may hold in the kernel: no process shows it. A few cost nothing."""
    for line in read_file("/proc/net/sockstat").splitlines():
        if line.startswith(b"sockets: used"):
            return max(0, int(line.split()[2]) - _FREE_SOCKETS) * _SOCKET_BYTES
    return 0


def bound_sockets() -> None:
    """Keep TCP's buffers from growing beyond what `socket_bytes` counts."""
    for name in ("tcp_rmem", "tcp_wmem"):
        try:
            descriptor = os.open(f"/proc/sys/net/ipv4/{name}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.write(descriptor, b"4096 65536 %d" % (_SOCKET_BYTES // 2))
        except OSError:
            pass  # a kernel on which they are the host's alone
        finally:
            os.close(descriptor)


def read_file(path: str, most: int = 1 << 16) -> bytes:
    """Contents of a file of /proc, `most` bytes of it, empty when it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    data = b""
    try:
        while len(data) < most:
            piece = os.read(descriptor, min(1 << 16, most - len(data)))
            if not piece:
                break
            data += piece
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return data
