"""The system call filter of containers: as for the namespace sandbox, in the daemon's notation.

The daemon's own profile allows ptrace, by which a command could stop the shell that runs it.
"""

from __future__ import annotations

import json

from .holder.seccomp import FAMILIES

_REFUSED = [
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
]
_MISSING = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")
_NEW_NAMESPACES = 0x7E020080
_ENOSYS, _EAFNOSUPPORT = 38, 97
_LAST_FAMILY = 45


def _no_socket(family: dict[str, object]) -> dict[str, object]:
    """AF_VSOCK reaches the machine's hypervisor past every network wall."""
    names = ["socket", "socketpair"]
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": _EAFNOSUPPORT, "args": [family]}


def profile() -> str:
    """A seccomp profile as JSON. clone3 is answered as if the kernel had none, because its flags cannot be
    looked at; the C library then uses clone."""
    flags = [
        {"index": 0, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"}
        for bit in (1 << shift for shift in range(32))
        if bit & _NEW_NAMESPACES
    ]
    refuse: list[dict[str, object]] = [
        {"names": _REFUSED, "action": "SCMP_ACT_ERRNO"},
        {"names": list(_MISSING), "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
    refuse += [{"names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [flag]} for flag in flags]
    for family in sorted(set(range(_LAST_FAMILY + 1)) - set(FAMILIES)):
        refuse.append(_no_socket({"index": 0, "value": family, "op": "SCMP_CMP_EQ"}))
    refuse.append(_no_socket({"index": 0, "value": _LAST_FAMILY, "op": "SCMP_CMP_GT"}))
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": refuse})
