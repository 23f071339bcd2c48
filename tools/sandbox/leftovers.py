"""leftovers: what sandboxes of dead processes left behind, found and removed.

A holder ends when its owner does, because the owner's end of its socket closes; mounts and processes
end with the holder. What a killed owner can leave is folders, containers and images, and, if the kernel
had no time yet, holders; killed together with its zygote, control groups.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import SandboxError
from .holder import cgroup
from .holder.cgroup_place import CgroupPlace, NoPlaceError
from .ownership import MARK, parse_owner, read_owner
from .spawner import GROUP_VARIABLE, owner_name
from .trees import remove_tree

LABEL, OWNER_LABEL = "swe_agent.run", "swe_agent.owner"
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing whose owner is dead."""

    kind: Literal["process", "directory", "group", "container", "image"]
    name: str
    """A pid, a path, or an id."""
    label: str
    """The run it belonged to, empty when unknown."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" of run {self.label}" if self.label else "")


def find_leftovers(scratch_root: Path) -> list[Leftover]:
    """Leftovers below `scratch_root` (the folder of all runs, or of one), and containers and images of
    any dead owner when a Docker daemon answers. What a living process owns is never listed."""
    directories = list(_dead_directories(scratch_root))
    found = [Leftover("process", str(pid), "") for pid in _holders()]
    found += [Leftover("process", str(pid), label) for pid, label in _processes_in(directories)]
    found += [Leftover("group", folder, "") for folder in _groups()]
    found += _containers_and_images()
    return found + [Leftover("directory", str(path), label) for path, label in directories]


def remove_leftovers(found: Iterable[Leftover]) -> None:
    """Remove what `find_leftovers` listed, in its order. Never raises for what is gone already."""
    for item in found:
        if item.kind == "process":
            _kill(int(item.name))
        elif item.kind == "directory":
            remove_tree(Path(item.name))
        elif item.kind == "group":
            cgroup.kill(item.name)
            cgroup.remove([item.name])
        else:
            _remove_docker(item)


def _dead_directories(root: Path, depth: int = _DEPTH) -> Iterator[tuple[Path, str]]:
    """Sandbox folders at most `depth` below `root` whose owner is dead."""
    try:
        entries = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith("sandbox-"):
            if depth > 1:
                yield from _dead_directories(entry, depth - 1)
            continue
        owner = read_owner(entry)
        if owner is None and not (entry / MARK).exists():
            # killed between making the folder and marking it: the folder's name holds the process id
            maker = entry.name.split("-")[2:3]
            if maker and maker[0].isdigit() and not Path(f"/proc/{maker[0]}").exists():
                yield entry, ""
        elif owner is not None and not owner.alive:
            yield entry, owner.label


def _holders() -> Iterator[int]:
    """Zygotes and holders whose owner is dead and that may be killed by us."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if not any(b"holder.zygote" in word for word in words):
                continue
            owner = parse_owner(words[-2].decode("utf-8", "replace"))
            if owner is not None and not owner.alive:
                os.kill(int(entry.name), 0)
                yield int(entry.name)
        except OSError:
            continue  # gone meanwhile, or another user's


def _groups() -> list[str]:
    """Control groups, where this process would make its own."""
    try:
        return CgroupPlace.find(os.environ.get(GROUP_VARIABLE, ""), owner_name()).stale()
    except NoPlaceError:
        return []


def _processes_in(directories: list[tuple[Path, str]]) -> Iterator[tuple[int, str]]:
    """Processes that work in one of `directories`: commands of a plain sandbox outlive a killed owner."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            place = (entry / "cwd").readlink()
        except OSError:
            continue
        for directory, label in directories:
            if place.is_relative_to(directory.resolve()):
                yield int(entry.name), label


def _kill(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(5000)
    finally:
        os.close(pidfd)


def _client() -> Any | None:
    """The Docker API, or None when no daemon answers: then there is nothing of it to find."""
    try:
        from docker import APIClient
        from docker.errors import DockerException
        from docker.utils import kwargs_from_env
        from requests.exceptions import RequestException
    except ImportError:
        return None
    try:
        return APIClient(**kwargs_from_env(), version="auto", timeout=60)
    except (DockerException, RequestException, OSError):
        return None


def _containers_and_images() -> list[Leftover]:
    api = _client()
    if api is None:
        return []
    from .docker_images import daemon_errors

    found: list[Leftover] = []
    try:
        with daemon_errors("list containers"):
            containers = api.containers(all=True, filters={"label": OWNER_LABEL})
            images = api.images(all=True, filters={"label": OWNER_LABEL})
    except SandboxError:
        return []
    # Newest first, so that no image is removed before those that stand on it.
    images.sort(key=lambda image: image.get("Created", 0), reverse=True)
    kinds: tuple[tuple[Literal["container", "image"], Any], ...] = (
        ("container", containers),
        ("image", images),
    )
    for kind, items in kinds:
        for item in items:
            labels = item.get("Labels") or {}
            owner = parse_owner(labels.get(OWNER_LABEL, ""))
            if owner is not None and not owner.alive:
                found.append(Leftover(kind, item["Id"], labels.get(LABEL, "")))
    return found


def _remove_docker(item: Leftover) -> None:
    api = _client()
    if api is None:
        return
    from .docker_images import daemon_errors

    with contextlib.suppress(SandboxError), daemon_errors(f"remove {item.kind} {item.name}"):
        if item.kind == "container":
            api.remove_container(item.name, force=True, v=True)
        else:
            api.remove_image(item.name, force=True, noprune=True)
