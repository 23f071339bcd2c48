"""Obstacles: what of this machine keeps a namespace sandbox from starting, and what to do about it."""

from __future__ import annotations

import errno
import platform
from dataclasses import dataclass
from pathlib import Path

from .spawner import HolderError

_OLDEST = (5, 12)
"""The first kernel with mount_setattr(2); overlay in user namespaces came one earlier."""
_SWITCHES = (
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "user namespaces are switched off (user.max_user_namespaces=0)",
        "sysctl -w user.max_user_namespaces=15000",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "user namespaces are kept from ordinary users (kernel.unprivileged_userns_clone=0)",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns=1)",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give this Python an AppArmor profile "
        "that allows userns",
    ),
)
_INSTEAD = "or use --sandbox docker"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried. `detail` is what was found, `remedy` what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def explain(error: HolderError) -> str:
    """Why a namespace sandbox did not start here, in one line with what to do."""
    found = [check for check in (kernel(), *switches()) if not check.ok]
    if found:
        why = "; ".join(check.detail for check in found)
        return f"the namespace sandbox cannot start: {why}: {found[0].remedy}, {_INSTEAD}"
    return f"the namespace sandbox cannot start: {error}: {_remedy(error)}"


def _remedy(error: HolderError) -> str:
    text = str(error)
    if "mount overlay" in text:
        if error.number == errno.ENODEV:
            return f"load the overlay module (modprobe overlay), {_INSTEAD}"
        return (
            "the scratch folder's file system cannot hold overlay layers (it may be an overlay or a network "
            f"file system itself): put the runs on ext4, xfs, btrfs or tmpfs, {_INSTEAD}"
        )
    if "mount proc" in text:
        return f"parts of /proc are covered, as in most containers: run outside of it, {_INSTEAD}"
    if error.number == errno.ENOSPC:
        return f"the limit of namespaces is used up (sysctl user.max_*_namespaces), {_INSTEAD}"
    if error.number in (errno.EPERM, errno.EACCES):
        return (
            "a container's seccomp filter or a security module forbids it: allow user namespaces "
            f"(docker run --security-opt seccomp=unconfined), {_INSTEAD}"
        )
    return _INSTEAD.removeprefix("or ")


def kernel() -> Check:
    """Whether it is new enough."""
    release = platform.release()
    version = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in release.split(".")[:2])
    oldest = ".".join(map(str, _OLDEST))
    if platform.system() != "Linux":
        return Check("kernel", False, f"{platform.system()} has no namespaces", "use --sandbox docker")
    ok = version >= _OLDEST
    detail = f"Linux {release}" if ok else f"Linux {release} is older than {oldest}"
    return Check("kernel", ok, detail, "" if ok else f"boot a kernel from {oldest} on")


def switches() -> list[Check]:
    """The kernel's switches that forbid user namespaces; those that do not exist here forbid nothing."""
    checks: list[Check] = []
    for path, forbidding, detail, remedy in _SWITCHES:
        try:
            value = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        # They bind a sandbox that root opens as well: it steps down to an ordinary user first.
        binding = value == forbidding
        name = path.rpartition("/")[2]
        checks.append(Check(name, not binding, detail if binding else f"{value}", remedy if binding else ""))
    return checks
