"""The programs of `probes`: each prints BROKEN when the wall that it tries gave way.

`@SECRET@`, `@TARGET@`, `@PORT@`, `@ABSTRACT@` and `@PID@` stand for things of the host.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProbeProgram:
    """Python, to be run inside. `bounded`: it succeeds up to a limit; `harmful`: never without walls."""

    attack: str
    code: str
    bounded: bool = False
    harmful: bool = False


def _reads(path: str) -> str:
    return f"try:\n    print('BROKEN' if 'hosts-secret' in open({path!r}).read() else 'other')\nexcept OSError as e: print(e)"


def _writes(setup: str, path: str) -> str:
    return (
        f"import os\ntry:\n    {setup}\n    open({path!r}, 'w').write('owned')\nexcept OSError as e: print(e)"
    )


def _call(number: tuple[int, int], arguments: str) -> str:
    return (
        "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True); c.syscall.restype = ctypes.c_long\n"
        f"n = {number!r}[os.uname().machine == 'aarch64']\n"
        f"r = c.syscall(ctypes.c_long(n), {arguments})\n"
        "print('BROKEN' if r >= 0 else os.strerror(ctypes.get_errno()))"
    )


def _opens(family: str) -> str:
    return (
        "import socket\nopened = []\nfor kind in (1, 2, 3, 5):\n"
        f"    try: opened.append(socket.socket({family}, kind))\n    except OSError as e: print(e)\n"
        "if opened: print('BROKEN')"
    )


def _connects(family: str, address: str) -> str:
    return (
        f"import socket\ns = socket.socket(socket.{family}); s.settimeout(5)\n"
        f"try:\n    s.connect({address}); print('BROKEN')\nexcept OSError as e: print(e)"
    )


def _holds(loop: str) -> str:
    """24 pieces of 100 MB each, under a limit of 512 MB."""
    return (
        "import os, time, mmap, socket, ctypes, array\nkept = []\n"
        f"for n in range(24):\n{loop}\ntime.sleep(1)\nprint('BROKEN')"
    )


_SYSV = (
    "    c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p; i = c.shmget(0, 100 << 20, 0o1600)\n"
    "    if i < 0: raise OSError('no segment')\n"
    "    p = c.shmat(i, None, 0); ctypes.memset(ctypes.c_void_p(p), 1, 100 << 20); c.shmdt(ctypes.c_void_p(p))"
)
_QUEUES = """import ctypes, time
class Message(ctypes.Structure): _fields_ = [("kind", ctypes.c_long), ("text", ctypes.c_char * 8000)]
c, m, held = ctypes.CDLL(None), Message(kind=1), 0
for n in range(150000):
    q = c.msgget(0, 0o1600)
    if q < 0: break
    held += sum(8000 for _ in range(2) if c.msgsnd(q, ctypes.byref(m), 8000, 0o4000) == 0)
time.sleep(1)
print("BROKEN" if held > 2 << 30 else held)
"""
_IN_FLIGHT = (
    "    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); kept += [a, b]; fd = os.memfd_create('x')\n"
    "    for _ in range(100): os.write(fd, b'x' * (1 << 20))\n"
    "    a.sendmsg([b'x'], [(1, 1, array.array('i', [fd]))]); os.close(fd)"
)
_SOCKETS = """
import os, socket, time
for child in range(40):
    if os.fork() == 0:
        kept = []
        try:
            while True:
                pair = socket.socketpair(); kept.append(pair)
                for end in pair:
                    end.setsockopt(1, 7, 1 << 24); end.setblocking(False)
                    try:
                        while True: end.send(b'x' * 65536)
                    except BlockingIOError: pass
        except OSError: pass
        time.sleep(20); os._exit(0)
time.sleep(5); print('BROKEN')
"""

_MARKS = """import os
open('marked', 'w').close()
for path in ('.', 'file.txt', 'marked'):
    for name in ('trusted.overlay.opaque', 'security.ima', 'security.capability', 'user.overlay.opaque', 'user.overlay.whiteout'):
        value = bytes.fromhex('0100000200200000' + '0' * 24) if 'cap' in name else b'y'
        try: os.setxattr(path, name, value)
        except OSError as e: print(e); continue
        if not name.startswith('user.'): print('BROKEN', name)
"""

PROGRAMS = (
    ProbeProgram("read a private file of the host", _reads("@SECRET@")),
    ProbeProgram("read it through /proc/1/root", _reads("/proc/1/root@SECRET@")),
    ProbeProgram("read it through the host's process", _reads("/proc/@PID@/root@SECRET@")),
    ProbeProgram("read it through a link", "import os\nos.symlink('@SECRET@', 'link')\n" + _reads("link")),
    ProbeProgram("read it by climbing out of the tree", _reads("../" * 30 + "@SECRET@".lstrip("/"))),
    ProbeProgram("read /etc/shadow", "try:\n    open('/etc/shadow').read(1); print('BROKEN')\nexcept OSError as e: print(e)", harmful=True),
    ProbeProgram("read the environment of the host's process",
        "import os\ntry:\n    env = open('/proc/@PID@/environ', 'rb').read(); print('BROKEN' if b'=' in env and env.split(b'=')[0] not in os.environb or len(os.listdir('/proc')) > 120 else 'own')\nexcept OSError as e: print(e)",
    ),
    ProbeProgram("see processes of the host", "import os\nprint('BROKEN' if os.path.exists('/proc/@PID@/cmdline') and len([p for p in os.listdir('/proc') if p.isdigit()]) > 8 else 'own')"),
    ProbeProgram("signal processes of the host", "import os\ntry:\n    os.kill(@PID@, 0); print('BROKEN' if int(@PID@) > 40 and os.path.exists('/proc/@PID@') and len([p for p in os.listdir('/proc') if p.isdigit()]) > 8 else 'own')\nexcept OSError as e: print(e)"),
    ProbeProgram("write a file of the host", _writes("pass", "@TARGET@")),
    ProbeProgram("write it through a link", _writes("os.symlink('@TARGET@', 'link2')", "link2")),
    ProbeProgram("write it through /proc/1/root", _writes("pass", "/proc/1/root@TARGET@")),
    ProbeProgram("write it through a hard link", _writes("os.link('@TARGET@', 'hard')", "hard")),
    ProbeProgram("change a program in /usr/bin", "try:\n    open('/usr/bin/swe-agent-probe', 'w'); import os; os.remove('/usr/bin/swe-agent-probe'); print('BROKEN')\nexcept OSError as e: print(e)"),
    ProbeProgram("set the kernel's core pattern", "try:\n    open('/proc/sys/kernel/core_pattern', 'r+'); print('BROKEN')\nexcept OSError as e: print(e)"),
    ProbeProgram("reach a port of the host", _connects("AF_INET", "('127.0.0.1', @PORT@)")),
    ProbeProgram("reach an abstract socket of the host", _connects("AF_UNIX", "'\\0@ABSTRACT@'")),
    ProbeProgram("reach the container engine's socket", _connects("AF_UNIX", "'/var/run/docker.sock'")),
    ProbeProgram("reach the public internet", _connects("AF_INET", "('1.1.1.1', 443)")),
    ProbeProgram("resolve a public name", "import socket\nsocket.setdefaulttimeout(5)\ntry:\n    socket.getaddrinfo('example.com', 80); print('BROKEN')\nexcept OSError as e: print(e)"),
    ProbeProgram("open AF_VSOCK", _opens("40")),
    ProbeProgram("open AF_PACKET", _opens("17")),
    ProbeProgram("open AF_ALG", _opens("38")),
    ProbeProgram("mount a file system", "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\nos.makedirs('m', exist_ok=True)\nprint('BROKEN' if c.mount(b'tmpfs', b'm', b'tmpfs', 0, None) == 0 else 'refused')", harmful=True),
    ProbeProgram("enter new namespaces", _call((272, 97), "ctypes.c_long(0x10000000)"), harmful=True),
    ProbeProgram("trace process 1", _call((101, 117), "ctypes.c_long(16), ctypes.c_long(1), 0, 0"), harmful=True),
    ProbeProgram("load a BPF program", "import ctypes, os\nb = ctypes.create_string_buffer(128)\nb[0:4] = (2).to_bytes(4, 'little'); b[4:8] = (4).to_bytes(4, 'little'); b[8:12] = (4).to_bytes(4, 'little'); b[12:16] = (1).to_bytes(4, 'little')\n" + _call((321, 280), "0, b, 128"), harmful=True),
    ProbeProgram("use keyrings", _call((250, 219), "0, ctypes.c_long(-3), 1"), harmful=True),
    ProbeProgram("set up io_uring", "import ctypes\nb = ctypes.create_string_buffer(120)\n" + _call((425, 425), "4, b"), harmful=True),
    ProbeProgram("become root", "import os\ntry:\n    os.setuid(0); print('BROKEN' if open('/proc/self/status').read().split('CapEff:\\t')[1][:16] != '0' * 16 else 'root of nothing')\nexcept OSError as e: print(e)"),
    ProbeProgram("make a device node", "import os\ntry:\n    os.mknod('disk', 0o60600, os.makedev(8, 0)); print('BROKEN')\nexcept OSError as e: print(e)", harmful=True),
    ProbeProgram("mark files by extended attributes for the kernel or other forks", _MARKS),
    ProbeProgram("outlive the command", "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(3); open('@TARGET@', 'w').write('late')\n    os._exit(0)\n"),
    ProbeProgram("end the sandbox's own shell", "import os, signal\nfor name in ('0', '1'):\n    try: open('/proc/1/fd/' + name, 'w').write('exit\\n')\n    except OSError as e: print(e)\nfor s in (9, 15, 1, 19):\n    try: os.kill(1, s)\n    except OSError as e: print(e)", harmful=True),
    ProbeProgram("a fork bomb", "import os, time\nn = 0\ntry:\n    while n < 400:\n        if os.fork() == 0: time.sleep(10); os._exit(0)\n        n += 1\n    print('BROKEN')\nexcept OSError as e: print(n, e)", bounded=True, harmful=True),
    ProbeProgram("2.4 GB of private memory", _holds("    kept.append(bytearray(b'x') * (100 << 20))"), bounded=True, harmful=True),
    ProbeProgram("2.4 GB of shared memory", _holds("    m = mmap.mmap(-1, 100 << 20); m[:] = b'x' * (100 << 20); kept.append(m)"), bounded=True, harmful=True),
    ProbeProgram("2.4 GB in memfds", _holds("    fd = os.memfd_create('x')\n    for _ in range(100): os.write(fd, b'x' * (1 << 20))"), bounded=True, harmful=True),
    ProbeProgram("2.4 GB in memfds under way in sockets", _holds(_IN_FLIGHT), bounded=True, harmful=True),
    ProbeProgram("2.4 GB in System V segments", _holds(_SYSV), bounded=True, harmful=True),
    ProbeProgram("2.4 GB in message queues", _QUEUES, bounded=True, harmful=True),
    ProbeProgram("2.4 GB in /dev/shm", _holds("    with open('/dev/shm/f%d' % n, 'wb') as f:\n        for _ in range(100): f.write(b'x' * (1 << 20))"), bounded=True, harmful=True),
    ProbeProgram("2.4 GB in socket buffers", _SOCKETS, bounded=True, harmful=True),
    ProbeProgram("fill the disk", "import time\nfor n in range(100):\n    with open('big%d' % n, 'wb') as f:\n        for _ in range(50): f.write(b'x' * (1 << 20))\nprint('BROKEN')", bounded=True, harmful=True),
    ProbeProgram("fill the disk with files that have no name", "import os, time\nfor n in range(100):\n    f = os.open('gone', os.O_RDWR | os.O_CREAT); os.unlink('gone')\n    for _ in range(50): os.write(f, b'x' * (1 << 20))\n    time.sleep(0.05)\nprint('BROKEN')", bounded=True, harmful=True),
    ProbeProgram("one file of 1 GB", "with open('huge', 'wb') as f:\n    for _ in range(1024): f.write(b'x' * (1 << 20))\nprint('BROKEN')", bounded=True, harmful=True),
    ProbeProgram("open files without end", "import os\nn = 0\ntry:\n    while n < 5000: os.open('/dev/null', 0); n += 1\n    print('BROKEN')\nexcept OSError as e: print(n, e)", bounded=True, harmful=True),
    ProbeProgram("print without end", "import sys, time\nend = time.time() + 5\nwhile time.time() < end: sys.stdout.buffer.write(b'x' * 65536)", bounded=True),
)  # fmt: skip
"""In the order of the table."""
