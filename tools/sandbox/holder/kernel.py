"""The system calls Python 3.11 does not offer: namespaces, mounts, capabilities.

Flag values are those of the kernel's headers (linux/sched.h, linux/mount.h, linux/prctl.h).
"""

from __future__ import annotations

import ctypes
import os
import signal

CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
MOUNT_ATTR_IDMAP = 0x00100000

PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442
_SYS_PIVOT_ROOT, _SYS_CAPSET, _SYS_CLONE = {"x86_64": (155, 126, 56)}.get(os.uname().machine, (41, 91, 220))

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall_with_gil = ctypes.PyDLL(None, use_errno=True).syscall
_syscall_with_gil.restype = ctypes.c_long


def _check(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def fork_sibling() -> int:
    """Fork a child of this process's own parent; 0 in the child, which runs a program or ends, as after a bare
    clone(2). For processes of one thread."""
    flags = ctypes.c_ulong(CLONE_PARENT | signal.SIGCHLD)
    zero = ctypes.c_ulong(0)
    number = ctypes.c_long(_SYS_CLONE)
    return _check(_syscall_with_gil(number, flags, zero, zero, zero, zero), "clone")


def prctl(option: int, value: int = 0) -> None:
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero), "prctl")


def install_filter(program: bytes, length: int) -> None:
    """Install a classic BPF program of `length` instructions as this process's seccomp filter."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    pointer = ctypes.byref(Program(length, program))
    zero = ctypes.c_ulong(0)
    mode_filter = ctypes.c_ulong(2)
    _check(_libc.prctl(ctypes.c_int(PR_SET_SECCOMP), mode_filter, pointer, zero, zero), "seccomp")


def remove_segment(number: int) -> None:
    """Remove a System V segment of shared memory; one that is gone or another's is left."""
    _libc.shmctl(ctypes.c_int(number), ctypes.c_int(0), None)


def remove_queue(number: int) -> None:
    """Remove a System V message queue; one that is gone or another's is left."""
    _libc.msgctl(ctypes.c_int(number), ctypes.c_int(0), None)


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    done = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(done, f"mount {kind} on {target}")


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    _check(_libc.umount2(target.encode(), ctypes.c_int(flags)), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    _check(_syscall(ctypes.c_long(_SYS_PIVOT_ROOT), new.encode(), old.encode()), "pivot_root")


def open_tree(path: str) -> int:
    """A detached copy of the mount tree at `path`, as a descriptor."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    number = ctypes.c_long(_SYS_OPEN_TREE)
    return _check(
        _syscall(number, ctypes.c_int(_AT_FDCWD), os.fsencode(path), ctypes.c_uint(flags)),
        f"open_tree {path}",
    )


def move_mount(tree: int, target: str) -> None:
    """Attach a detached tree at `target` (relative to the current directory or absolute)."""
    number = ctypes.c_long(_SYS_MOVE_MOUNT)
    flags = ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH)
    at_cwd = ctypes.c_int(_AT_FDCWD)
    done = _syscall(number, ctypes.c_int(tree), b"", at_cwd, os.fsencode(target), flags)
    _check(done, f"move_mount to {target}")


def set_tree_attributes(tree: int, attributes: int, userns: int = 0, *, recursive: bool = True) -> None:
    """Add mount attributes to a tree; with MOUNT_ATTR_IDMAP, map its owners through `userns`."""
    block = (ctypes.c_uint64 * 4)(attributes, 0, 0, userns)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    number = ctypes.c_long(_SYS_MOUNT_SETATTR)
    size = ctypes.c_size_t(ctypes.sizeof(block))
    done = _syscall(number, ctypes.c_int(tree), b"", ctypes.c_uint(flags), ctypes.byref(block), size)
    _check(done, "mount_setattr")


def set_capabilities(effective: int, permitted: int) -> None:
    """Set this thread's capability sets; the inheritable set is always empty."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    low, high = 0xFFFFFFFF, 32
    data = (ctypes.c_uint32 * 6)(effective & low, permitted & low, 0, effective >> high, permitted >> high, 0)
    done = _syscall(ctypes.c_long(_SYS_CAPSET), ctypes.byref(header), ctypes.byref(data))
    _check(done, "capset")


def permitted_capabilities() -> int:
    descriptor = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
    for line in status.splitlines():
        if line.startswith(b"CapPrm:"):
            return int(line.split()[1], 16)
    return 0
