"""The system call filter of every command: what a build or a test never needs is refused.

Refused calls fail with EPERM, as they would without the capability, so programs fall back. Numbers are
those of the kernel's tables for the two supported machines.
"""

from __future__ import annotations

import os
import struct

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_X86_64 = (
    101,  # ptrace
    103,  # syslog
    134, 136, 139, 153, 154, 155,  # uselib, ustat, sysfs, vhangup, modify_ldt, pivot_root
    161, 163, 164, 165, 166, 167, 168, 169,  # chroot, acct, settimeofday, mount, umount2, swap*, reboot
    172, 173, 175, 176, 179, 180,  # iopl, ioperm, init_module, delete_module, quotactl, nfsservctl
    246, 248, 249, 250,  # kexec_load, add_key, request_key, keyctl
    272, 298, 303, 304, 305, 308,  # unshare, perf_event_open, *_handle*, clock_adjtime, setns
    310, 311, 312, 313, 320, 321, 323,  # process_vm_*, kcmp, finit_module, kexec_file_load, bpf, userfaultfd
)  # fmt: skip
_AARCH64 = (
    117, 116, 58, 41, 51, 89, 170, 40, 39, 224, 225, 142,
    105, 106, 60, 104, 217, 218, 219, 97, 241, 264, 265, 266, 268,
    270, 271, 272, 273, 294, 280, 282,
)  # fmt: skip
# open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr, and the later mount calls
_COMMON = (428, 429, 430, 431, 432, 433, 442, 443, 467)
_IO_URING = (425, 426, 427)
_MEMFD = {"x86_64": (319, 447), "aarch64": (279, 447)}
"""memfd_create, memfd_secret: memory that no process shows once its descriptor is under way in a socket. Programs
fall back to /dev/shm, which has a size."""
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_SOCKETS = {"x86_64": (41, 53), "aarch64": (198, 199)}  # socket, socketpair
_SETSOCKOPT = {"x86_64": 54, "aarch64": 208}
_SOL_SOCKET, _BUFFER_SIZES = 1, (7, 8)  # SO_SNDBUF, SO_RCVBUF: what a socket holds is nobody's memory
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; AF_VSOCK and the rare ones pass the walls
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
"""Of another process: the holder and the launcher belong to the same user."""
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag of clone(2), CLONE_NEWTIME among them

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16


def build_filter() -> tuple[bytes, int] | None:
    """The program and its number of instructions; None on a machine whose table is not known here."""
    machine = os.uname().machine
    if machine not in _AUDIT_ARCH:
        return None
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCH),
        # A call through another ABI (32-bit on x86-64) would be numbered differently.
        (_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]  # the x32 ABI
    refused = (_X86_64 if machine == "x86_64" else _AARCH64) + _COMMON
    for number in sorted(refused):
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    # clone3 hides its flags behind a pointer; ENOSYS makes the C library use clone instead.
    for number in (*_IO_URING, *_MEMFD[machine], _CLONE3):
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for number in _SOCKETS[machine]:
        skip = len(FAMILIES)
        code += [(_EQUAL, 0, skip + 3, number), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
        code += [(_EQUAL, skip - at, 0, family) for at, family in enumerate(FAMILIES)]
        code += [(_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT), (_RETURN, 0, 0, _ALLOW)]
    # A hint that is not taken: the call succeeds, the size stays.
    code += [
        (_EQUAL, 0, 7, _SETSOCKOPT[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT + 8),
        (_EQUAL, 0, 4, _SOL_SOCKET),
        (_LOAD, 0, 0, _FIRST_ARGUMENT + 16),
        (_EQUAL, 1, 0, _BUFFER_SIZES[0]),
        (_EQUAL, 0, 1, _BUFFER_SIZES[1]),
        (_RETURN, 0, 0, _ERRNO),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code += [
        (_EQUAL, 0, 4, _PRLIMIT[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code += [
        (_EQUAL, 0, 3, _CLONE[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in code), len(code)
