"""doctor: what this machine lacks for each kind of sandbox, and what to do about it."""

from __future__ import annotations

import errno
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import SandboxError
from .base import Limits, SandboxSpec
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


def diagnose() -> list[Check]:
    """What the sandboxes need, each tried for real. Takes well under a second; changes nothing."""
    return [_kernel(), *_switches(), _namespace(), _docker()]


def explain(error: HolderError) -> str:
    """Why a namespace sandbox did not start here, in one line with what to do."""
    found = [check for check in (_kernel(), *_switches()) if not check.ok]
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


def _kernel() -> Check:
    release = platform.release()
    version = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in release.split(".")[:2])
    oldest = ".".join(map(str, _OLDEST))
    if platform.system() != "Linux":
        return Check("kernel", False, f"{platform.system()} has no namespaces", "use --sandbox docker")
    ok = version >= _OLDEST
    detail = f"Linux {release}" if ok else f"Linux {release} is older than {oldest}"
    return Check("kernel", ok, detail, "" if ok else f"boot a kernel from {oldest} on")


def _switches() -> list[Check]:
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


def _namespace() -> Check:
    """Open one and run a command in it."""
    from .namespace import NamespaceSandbox

    try:
        with tempfile.TemporaryDirectory(prefix="swe-agent-doctor-") as folder:
            source = Path(folder, "source")
            source.mkdir()
            spec = SandboxSpec(
                source, Path(folder, "scratch"), PurePosixPath("/testbed"), limits=Limits(wall_s=20)
            )
            with NamespaceSandbox(spec) as sandbox, sandbox.fork() as child:
                done = child.exec("echo works")
    except (SandboxError, OSError) as error:
        message = str(error).removeprefix("the namespace sandbox cannot start: ")
        detail, _, remedy = message.rpartition(": ")
        return Check("sandbox namespace", False, detail or message, remedy)
    ok = done.output == "works\n"
    return Check("sandbox namespace", ok, "opens, forks and runs commands" if ok else done.output.strip())


def _docker() -> Check:
    name = "sandbox docker"
    try:
        import docker
        from docker.errors import DockerException
        from requests.exceptions import RequestException
    except ImportError:
        return Check(name, False, "the docker package is not installed", "pip install docker")
    try:
        version = docker.from_env(timeout=5).version()
    except (DockerException, RequestException, OSError) as error:
        installed = shutil.which("dockerd") or shutil.which("podman")
        remedy = "start the daemon, or point DOCKER_HOST to one" if installed else "install Docker or Podman"
        return Check(name, False, f"no daemon answers: {' '.join(str(error).split())[:200]}", remedy)
    engine = (version.get("Platform") or {}).get("Name") or "Docker Engine"
    return Check(name, True, f"{engine} {version.get('Version', '')}".strip())
