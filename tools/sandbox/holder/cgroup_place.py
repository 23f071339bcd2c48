"""CgroupPlace: where on this machine control groups of sandboxes can be made.

cgroup v2: the nearest group at or above this process's that has the controllers memory and pids enabled for its
children, that may be written, and that was handed to us (delegated). No process is moved out of the way: a group
with processes of its own cannot hold bounded ones (the rule of no internal processes). cgroup v1: below the
groups of this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from .cgroup import Cgroup, kill, remove
from .held import read_file

CONTROLLERS = ("memory", "pids")
_PREFIX = "swe-agent"
_MARKS = ("user.delegate", "trusted.delegate")
"""Extended attributes by which systemd marks what it has handed over (systemd.resource-control(5), Delegate=)."""
_NAMES = 10


class NoPlaceError(Exception):
    """No control group can be made here; says why."""


@dataclass(frozen=True, slots=True)
class _Mount:
    root: str
    point: str
    kind: str
    controllers: frozenset[str]

    def folder(self, group: str) -> str | None:
        """Where the group of this name (as in /proc/self/cgroup) is, if this mount shows it."""
        base = self.root.rstrip("/")
        if "/.." in group or not (group == self.root or group.startswith(base + "/")):
            return None
        return (self.point.rstrip("/") + group[len(base) :]).rstrip("/")


@dataclass(frozen=True, slots=True)
class CgroupPlace:
    """`parents`: the folder in which groups are made (v2), or those of memory and pids (v1). `owner` is the process
    whose sandboxes they are, as `PID-START`."""

    parents: tuple[str, ...]
    owner: str

    @classmethod
    def find(
        cls, wanted: str, owner: str, *, proc: str = "/proc/self", manager: str = "/run/systemd/system"
    ) -> CgroupPlace:
        """`wanted`: "" (what was handed to us), "off", or the name of a group, made if need be, in which to make
        them. `proc` has the files `cgroup` and `mountinfo`; `manager` exists where systemd owns the groups.

        Raises: NoPlaceError.
        """
        if wanted == "off":
            raise NoPlaceError("switched off")
        if wanted and (not wanted.startswith("/") or ".." in wanted.split("/")):
            raise NoPlaceError(
                f"{wanted} is not the name of a control group: use one like /swe-agent, or off"
            )
        mounts = list(_mounts(read_file(f"{proc}/mountinfo", 1 << 22).decode("utf-8", "surrogateescape")))
        own = _membership(read_file(f"{proc}/cgroup").decode("utf-8", "surrogateescape"))
        managed = os.geteuid() == 0 and os.path.isdir(manager)
        try:
            return cls((_unified(mounts, own, wanted, managed),), owner)
        except NoPlaceError as error:
            why = str(error)
        try:
            return cls(_split(mounts, own, wanted, managed), owner)
        except NoPlaceError as error:
            raise NoPlaceError(f"{why}; {error}") from None

    @property
    def version(self) -> int:
        return 2 if len(self.parents) == 1 else 1

    def make(self) -> Cgroup | None:
        """A new group, named after its owner and this process; None where the kernel does not let us."""
        for number in range(_NAMES):
            name = f"{_PREFIX}-{_namespace()}-{self.owner}-{os.getpid()}-{number}"
            try:
                return Cgroup.make([f"{parent}/{name}" for parent in self.parents])
            except FileExistsError:
                continue  # of a sandbox that this process's predecessor with the same number began
            except OSError:
                return None
        return None

    def stale(self) -> list[str]:
        """Folders of groups whose owner is dead."""
        return [
            folder
            for folder, owner in self._all()
            if (pid := owner.partition("-")[0]).isdigit() and f"{pid}-{start_of(int(pid))}" != owner
        ]

    def remove_stale(self) -> None:
        """End what is in them and remove them."""
        for folder in self.stale():
            kill(folder)
            remove([folder], rounds=20)

    def remove_own(self, rounds: int) -> bool:
        """Remove the groups of this owner that are empty, or become so; whether none is left."""
        left = [folder for folder, owner in self._all() if owner == self.owner]
        return remove(left, rounds=rounds)

    def _all(self) -> Iterator[tuple[str, str]]:
        """Folder and owner of each group of a sandbox whose owner's number means something to us."""
        for parent in self.parents:
            try:
                names = os.listdir(parent)
            except OSError:
                continue
            for name in names:
                words = name.removeprefix(_PREFIX + "-").split("-")
                if name.startswith(_PREFIX + "-") and len(words) == 5 and words[0] == str(_namespace()):
                    yield f"{parent}/{name}", f"{words[1]}-{words[2]}"


def start_of(pid: int) -> int:
    """Start time of a process in clock ticks after boot (proc(5), field 22); -1 when it is gone."""
    stat = read_file(f"/proc/{pid}/stat")
    fields = stat[stat.rfind(b")") + 2 :].split()
    return int(fields[19]) if len(fields) > 19 else -1


def _namespace() -> int:
    """Numbers of processes mean something in one pid namespace only."""
    return os.stat("/proc/self/ns/pid").st_ino


def _unified(mounts: list[_Mount], own: dict[str, str], wanted: str, managed: bool) -> str:
    """The folder in cgroup v2 in which to make groups. Raises: NoPlaceError."""
    mount = next((mount for mount in mounts if mount.kind == "cgroup2"), None)
    if mount is None or "" not in own:
        raise NoPlaceError("cgroup v2 is not mounted")
    offered = read_file(f"{mount.point}/cgroup.controllers").decode().split()
    if not set(CONTROLLERS) <= set(offered):
        raise NoPlaceError("cgroup v2 has no memory and pids here")
    if wanted:
        return _named(mount, wanted)
    folder = mount.folder(own[""])
    while folder is not None and len(folder) >= len(mount.point.rstrip("/")):
        enabled = read_file(f"{folder}/cgroup.subtree_control").decode().split()
        if (
            set(CONTROLLERS) <= set(enabled)
            and _may_write(folder)
            and (not managed or _delegated(folder, mount))
        ):
            return folder
        folder = os.path.dirname(folder) if folder != mount.point.rstrip("/") else None
    raise NoPlaceError("cgroup v2: no group that has memory and pids for its children was delegated to us")


def _named(mount: _Mount, name: str) -> str:
    """The group of this name, with the controllers enabled from the top down to its children."""
    folder = mount.point.rstrip("/")
    for part in ("", *name.strip("/").split("/")):
        folder = f"{folder}/{part}".rstrip("/")
        try:
            if not os.path.isdir(folder):
                os.mkdir(folder, 0o755)
            enabled = read_file(f"{folder}/cgroup.subtree_control").decode().split()
            if not set(CONTROLLERS) <= set(enabled):
                descriptor = os.open(f"{folder}/cgroup.subtree_control", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(descriptor, b"+memory +pids")
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise NoPlaceError(f"{name}: {folder}: {error.strerror}") from None
    if not _may_write(folder):
        raise NoPlaceError(f"{name}: {folder} may not be written")
    return folder


def _split(mounts: list[_Mount], own: dict[str, str], wanted: str, managed: bool) -> tuple[str, ...]:
    """The folders in cgroup v1 in which to make groups. Raises: NoPlaceError."""
    found: list[str] = []
    for controller in CONTROLLERS:
        mount = next((mount for mount in mounts if controller in mount.controllers), None)
        if mount is None or controller not in own:
            raise NoPlaceError(f"cgroup v1 has no {controller} here")
        folder = f"{mount.point}{wanted}" if wanted else mount.folder(own[controller])
        if wanted and folder is not None and not os.path.isdir(folder):
            try:
                os.makedirs(folder)
            except OSError as error:
                raise NoPlaceError(f"{wanted}: {folder}: {error.strerror}") from None
        if folder is None or not _may_write(folder):
            raise NoPlaceError(f"cgroup v1: {folder or own[controller]} may not be written")
        if managed and not wanted and not _delegated(folder, mount):
            raise NoPlaceError("cgroup v1: no group was delegated to us")
        found.append(folder)
    return tuple(found)


def _may_write(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


def _delegated(folder: str, mount: _Mount) -> bool:
    """Whether the manager of this machine's groups has handed this one, or one above it, over."""
    while len(folder) > len(mount.point):
        for mark in _MARKS:
            try:
                if os.getxattr(folder, mark) == b"1":
                    return True
            except OSError:
                continue
        folder = os.path.dirname(folder)
    return False


def _mounts(text: str) -> Iterator[_Mount]:
    """Mounts of control groups in a mountinfo file (proc(5))."""
    for line in text.splitlines():
        first, _, second = line.partition(" - ")
        fields, rest = first.split(" "), second.split(" ")
        if len(fields) > 5 and len(rest) > 2 and rest[0] in ("cgroup", "cgroup2"):
            point = fields[4].replace("\\040", " ")
            controllers = rest[2].split(",") if rest[0] == "cgroup" else ()
            yield _Mount(fields[3], point, rest[0], frozenset(controllers))


def _membership(text: str) -> dict[str, str]:
    """Controller -> group of a process (cgroups(7)); "" is cgroup v2's."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for controller in controllers.split(","):
            found[controller] = group
    return found
