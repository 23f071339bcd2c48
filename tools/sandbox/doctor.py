"""doctor: what this machine lacks for each kind of sandbox, and what to do about it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from ..errors import SandboxError
from .base import Limits, SandboxSpec
from .holder.cgroup_place import CgroupPlace, NoPlaceError
from .namespace import NamespaceSandbox
from .obstacles import Check, kernel, switches
from .spawner import GROUP_VARIABLE, owner_name


def diagnose() -> list[Check]:
    """What the sandboxes need, each tried for real. Takes well under a second; changes nothing."""
    return [kernel(), *switches(), *_namespace(), _docker()]


def _namespace() -> list[Check]:
    """Open one and run a command in it."""
    try:
        with tempfile.TemporaryDirectory(prefix="swe-agent-doctor-") as folder:
            source = Path(folder, "source")
            source.mkdir()
            spec = SandboxSpec(
                source, Path(folder, "scratch"), PurePosixPath("/testbed"), limits=Limits(wall_s=20)
            )
            with NamespaceSandbox(spec) as sandbox, sandbox.fork() as child:
                done = child.exec("echo works")
                version = child.cgroup_version()
    except (SandboxError, OSError) as error:
        message = str(error).removeprefix("the namespace sandbox cannot start: ")
        detail, _, remedy = message.rpartition(": ")
        return [Check("sandbox namespace", False, detail or message, remedy)]
    ok = done.output == "works\n"
    works = Check("sandbox namespace", ok, "opens, forks and runs commands" if ok else done.output.strip())
    return [works, _cgroup(version)]


def _cgroup(version: int) -> Check:
    """What keeps a namespace sandbox within its memory and processes: `version` of control groups, or 0."""
    name, watch = "sandbox limits", "memory and processes are bounded by a watch, ten times a second"
    if version:
        return Check(name, True, f"memory and processes are bounded by the kernel (cgroup v{version})")
    try:
        place = CgroupPlace.find(os.environ.get(GROUP_VARIABLE, ""), owner_name())
        why = f"the groups in {place.parents[0]} cannot be joined"
    except NoPlaceError as error:
        why = str(error)
    remedy = f"optional: delegate a control group, or name one in {GROUP_VARIABLE} (docs/sandboxes.md)"
    return Check(name, False, f"{watch}: {why}", remedy)


def _docker() -> Check:
    name = "sandbox docker"
    try:
        import docker
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        from .docker_images import daemon_reason
    except ImportError:
        return Check(name, False, "the docker package is not installed", "pip install docker")
    try:
        version = docker.from_env(timeout=5).version()
    except (DockerException, RequestException, OSError) as error:
        installed = shutil.which("dockerd") or shutil.which("podman")
        remedy = "start the daemon, or point DOCKER_HOST to one" if installed else "install Docker or Podman"
        return Check(name, False, f"no daemon answers: {daemon_reason(error)[:200]}", remedy)
    engine = (version.get("Platform") or {}).get("Name") or "Docker Engine"
    return Check(name, True, f"{engine} {version.get('Version', '')}".strip())
