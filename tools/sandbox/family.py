"""Family: the directory that a sandbox and all its forks share, and the life of its layers."""

from __future__ import annotations

import array
import atexit
import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import SandboxError
from .base import SandboxSpec
from .holder.mounts import HOME
from .identity import Identity
from .ownership import mark_owner
from .space import is_in_memory
from .trees import copy_tree, remove_tree

_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC_FILES = (
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "timezone",
    "os-release",
    "debian_version",
    "protocols",
    "services",
    "mime.types",
    "magic",
    "locale.conf",
    "locale.alias",
    "inputrc",
    "bash.bashrc",
    "profile",
    "papersize",
)
_ETC_BINDS = ("alternatives", "ld.so.conf.d", "ssl", "pki", "ca-certificates", "fonts", "crypto-policies")
# linux/fs.h: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL
_GETFLAGS, _SETFLAGS, _TOPDIR = 0x80086601, 0x40086602, 0x00020000
_RESERVED = ("/proc", "/dev", "/sys", "/usr", "/etc", "/tmp", HOME, "/bin", "/sbin", "/lib", "/lib64")

_SYSTEM = ("/proc", "/dev", "/sys", "/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/run")

_open_families: weakref.WeakSet[Family] = weakref.WeakSet()


class Family:
    """Layers, skeleton and mount points of one opened sandbox and its forks.

    `directory/layers` belongs to the user the sandbox runs as: `root` is the skeleton of the view,
    `private.base` the lowest layer of /tmp and the home, a number the layer of one fork.
    """

    def __init__(self, spec: SandboxSpec, identity: Identity) -> None:
        """Raises: SandboxError when the directory cannot be made or a path is missing or reserved."""
        self.spec = spec
        self.identity = identity
        self._lock = threading.Lock()
        self._next = 0
        self._users: dict[str, int] = {}
        self._pid = os.getpid()
        self.system: list[str] = []
        self.over: list[str] = []
        self.read_only = [str(path.absolute()) for path in spec.read_only]
        self.writable = [str(path.absolute()) for path in spec.writable]
        self.mounts = {str(target): str(host.absolute()) for target, host in spec.mounts.items()}
        self._check(spec)
        try:
            spec.scratch.mkdir(parents=True, exist_ok=True)
            self.directory = Path(
                tempfile.mkdtemp(prefix=f"sandbox-tree-{os.getpid()}-", dir=spec.scratch.resolve())
            )
            mark_owner(self.directory, kind="namespace", label=spec.label)
            self.layers = self.directory / "layers"
            self.in_memory = any(
                is_in_memory(Path(path)) for path in (self.directory, *self.writable, *self.mounts.values())
            )
            self._lay_out()
        except OSError as error:
            raise SandboxError(f"cannot prepare a sandbox under {spec.scratch}: {error.strerror}") from error
        _open_families.add(self)

    def _check(self, spec: SandboxSpec) -> None:
        if not spec.source.is_dir():
            raise SandboxError(f"{spec.source} is not a directory: name the repository to work on")
        root = str(spec.root)
        if not spec.root.is_absolute() or root == "/" or any(_within(root, path) for path in _RESERVED):
            raise SandboxError(f"{root} cannot hold the repository: choose a path like /testbed")
        for path in [*self.read_only, *self.writable, *self.mounts.values()]:
            if not Path(path).exists():
                raise SandboxError(f"{path} does not exist, so it cannot be shown in the sandbox")
        for target in self.mounts:
            if not target.startswith("/") or any(_within(target, path) for path in _SYSTEM):
                raise SandboxError(f"{target} belongs to the system: nothing can be mounted there")

    def _lay_out(self) -> None:
        root = self.layers / "root"
        for name in ("source", "view", "none", "private.base/tmp", "private.base/home"):
            (self.layers / name).mkdir(parents=True)
        for name in ("usr", "etc", "proc", "dev/shm", "dev/pts", "tmp", "var", "run", "sys", HOME[1:]):
            (root / name).mkdir(parents=True)
        (self.layers / "private.base/tmp").chmod(0o1777)
        (root / "var/tmp").symlink_to("/tmp")
        for name in ("null", "zero", "full", "random", "urandom", "tty"):
            (root / "dev" / name).touch()
        links = {
            "fd": "/proc/self/fd",
            "stdin": "fd/0",
            "stdout": "fd/1",
            "stderr": "fd/2",
            "ptmx": "pts/ptmx",
        }
        for name, target in links.items():
            (root / "dev" / name).symlink_to(target)
        self._lay_out_system(root)
        self._lay_out_etc(root / "etc")
        for path in self.read_only + self.writable:
            self._lay_out_bind(root, path, Path(path))
        for target, host in self.mounts.items():
            self._lay_out_bind(root, target, Path(host))
        if not self._covered(str(self.spec.root)):
            (root / str(self.spec.root)[1:]).mkdir(parents=True, exist_ok=True)
        self._hand_over()

    def _lay_out_system(self, root: Path) -> None:
        self.system.append("/usr")
        for name in _LINKS:
            host = Path("/", name)
            if host.is_symlink():
                (root / name).symlink_to(host.readlink())
            elif host.is_dir():
                (root / name).mkdir()
                self.system.append(str(host))

    def _lay_out_etc(self, etc: Path) -> None:
        names = [*_ETC_FILES, "resolv.conf", "hosts", "nsswitch.conf"] if self.spec.network else _ETC_FILES
        for name in names:
            if Path("/etc", name).is_file() and os.access(Path("/etc", name), os.R_OK):
                shutil.copyfile(Path("/etc", name), etc / name)
        for path in [Path("/etc", name) for name in _ETC_BINDS] + sorted(Path("/etc").glob("java-*")):
            if path.is_dir():
                (etc / path.name).mkdir()
                self.system.append(str(path))
        files = {
            "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000::{HOME}:/bin/bash\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
            "group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
            "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
            "hostname": "sandbox\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            "gitconfig": "[safe]\n\tdirectory = *\n[user]\n\tname = agent\n\temail = agent@localhost\n",
        }
        for name, text in files.items():
            if not (etc / name).exists():
                (etc / name).write_text(text, encoding="utf-8")

    def _lay_out_bind(self, root: Path, path: str, host: Path) -> None:
        """Make the mount point of `host` at `path`, where the mounts above it leave it visible."""
        if _within(path, str(self.spec.root)):
            self.over.append(path)
            return
        for prefix, base in (("/tmp", "private.base/tmp"), (HOME, "private.base/home")):
            if _within(path, prefix):
                self.over.append(path)
                _make_mount_point(self.layers / base / path[len(prefix) + 1 :], host)
                return
        if not self._covered(path):
            _make_mount_point(root / path[1:], host)

    def _covered(self, path: str) -> bool:
        """Whether a bind of one of its ancestors shows `path` already."""
        shown = [*self.system, *self.read_only, *self.writable, *self.mounts]
        return any(other != path and _within(path, other) for other in shown)

    def _hand_over(self) -> None:
        """Give the layers to the user the sandbox runs as."""
        self.layers.chmod(0o700)
        _spread(self.layers)
        if self.identity.uid is None:
            return
        os.chown(self.layers, self.identity.uid, self.identity.uid)
        for top in ("private.base", "root", "none", "view", "source"):
            for where, _, files in os.walk(self.layers / top):
                for path in (where, *(str(Path(where, name)) for name in files)):
                    os.chown(path, self.identity.uid, self.identity.uid, follow_symlinks=False)

    def copy_base(self) -> str:
        """Copy the source into a layer that the sandbox's user owns. Raises: SandboxError."""
        base = self.layers / "base"
        copy_tree(self.spec.source, base, keep_owner=False)
        if self.identity.uid is not None:
            owner = f"{self.identity.uid}:{self.identity.uid}"
            done = subprocess.run(["chown", "-Rh", owner, "--", base], capture_output=True, text=True)
            if done.returncode != 0:
                raise SandboxError(f"cannot hand {base} to the sandbox's user: {done.stderr.strip()[-300:]}")
        return "base"

    def new_layer(self) -> str:
        with self._lock:
            self._next += 1
            return str(self._next)

    def acquire(self, layers: Iterable[str]) -> None:
        """Count one more sandbox that uses `layers` (numbers, or paths that begin with one)."""
        with self._lock:
            for layer in {PurePosixPath(layer).parts[0] for layer in layers}:
                self._users[layer] = self._users.get(layer, 0) + 1

    def release(self, layers: Iterable[str], *, keep_family: bool = False) -> None:
        """Undo `acquire` and remove what nobody uses any more: the whole family with its last sandbox,
        unless that one never started and another try follows."""
        gone: list[str] = []
        with self._lock:
            for layer in {PurePosixPath(layer).parts[0] for layer in layers}:
                self._users[layer] -= 1
                if not self._users[layer]:
                    del self._users[layer]
                    gone.append(layer)
            last = not self._users
        if last and not keep_family:
            self.remove()
            return
        for layer in gone:
            if layer.isdecimal():
                remove_tree(self.layers / layer)

    def remove(self) -> None:
        if self._pid == os.getpid():
            remove_tree(self.directory)
            _open_families.discard(self)


def _within(path: str, ancestor: str) -> bool:
    return path == ancestor or path.startswith(ancestor + "/")


def _make_mount_point(point: Path, host: Path) -> None:
    if host.is_dir():
        point.mkdir(parents=True, exist_ok=True)
    else:
        point.parent.mkdir(parents=True, exist_ok=True)
        point.touch()


def _spread(directory: Path) -> None:
    """Have ext4 put each folder in here, and what lies in it, into a block group of its own: finding a free
    inode in a group costs more the more of them were freed there lately, and every fork frees some."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        flags = array.array("i", [0])
        fcntl.ioctl(descriptor, _GETFLAGS, flags, True)
        flags[0] |= _TOPDIR
        fcntl.ioctl(descriptor, _SETFLAGS, flags)
    except OSError:
        pass  # another file system
    finally:
        os.close(descriptor)


def _remove_open_families() -> None:
    for family in list(_open_families):
        family.remove()


atexit.register(_remove_open_families)
