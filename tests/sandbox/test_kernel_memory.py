"""Memory that no process shows as its own: it counts, or it cannot be had."""

from __future__ import annotations

import pytest
from sandbox.walls import python

from swe_agent.tools.sandbox import Sandbox

WAYS = {
    "memfd": """
for n in range(24):
    fd = os.memfd_create(str(n)); fds.append(fd)
    for _ in range(100): os.write(fd, b'x' * (1 << 20))
    held += 100
""",
    "memfd in a socket": """
import socket, array
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
for n in range(24):
    fd = os.memfd_create(str(n))
    for _ in range(100): os.write(fd, b'x' * (1 << 20))
    if n % 8 == 0: a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); fds += [a, b]
    a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
    os.close(fd); held += 100
""",
    "System V segments": """
import ctypes
c = ctypes.CDLL(None, use_errno=True); c.shmat.restype = ctypes.c_void_p
for n in range(24):
    i = c.shmget(0, 100 << 20, 0o1600)
    if i < 0: raise OSError('no segment')
    p = c.shmat(i, None, 0)
    ctypes.memset(ctypes.c_void_p(p), 1, 100 << 20); c.shmdt(ctypes.c_void_p(p)); held += 100
""",
    "/dev/shm": """
for n in range(24):
    with open('/dev/shm/f%d' % n, 'wb') as f:
        for _ in range(100): f.write(b'x' * (1 << 20))
    held += 100
""",
    "socket buffers": """
import socket
for child in range(40):
    if os.fork() == 0:
        pairs = []
        try:
            while True:
                pair = socket.socketpair(); pairs.append(pair)
                for end in pair:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24); end.setblocking(False)
                    try:
                        while True: end.send(b'x' * 65536)
                    except BlockingIOError: pass
        except OSError: pass
        time.sleep(30); os._exit(0)
time.sleep(6); held = 2400
""",
    "shared anonymous memory": """
import mmap
for n in range(24):
    m = mmap.mmap(-1, 100 << 20); fds.append(m)
    for _ in range(100): m.write(b'x' * (1 << 20))
    held += 100
""",
}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_kernel_keeps_counts(box: Sandbox, way: str) -> None:
    program = "import os, time\nfds, held = [], 0\n" + WAYS[way] + "time.sleep(1)\nprint('held', held)\n"
    code, output = python(box, program, timeout=40)
    assert "held 2400" not in output
    assert code != 0
    assert box.exec("echo alive").output == "alive\n"


def test_ordinary_programs_have_sockets_and_shared_memory(box: Sandbox) -> None:
    program = (
        "import socket, mmap\n"
        "pairs = [socket.socketpair() for _ in range(60)]\n"
        "for a, b in pairs: a.sendall(b'x' * 1000); assert len(b.recv(1000)) == 1000\n"
        "s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); d, _ = s.accept()\n"
        "c.sendall(b'x' * 30000)\n"
        "got = 0\n"
        "while got < 30000: got += len(d.recv(65536))\n"
        "open('/dev/shm/x', 'wb').write(b'x' * (10 << 20))\n"
        "m = mmap.mmap(-1, 50 << 20); m[:] = b'x' * (50 << 20)\n"
        "import time; time.sleep(0.5); print('fine')\n"
    )
    assert python(box, program) == (0, "fine\n")
