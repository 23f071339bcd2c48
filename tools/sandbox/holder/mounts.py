"""The view of one holder: a private root, the system read-only, and two stacks of overlay layers.

Two overlays are copy-on-write: the repository, and `private` (/tmp and the home). Each has a stack of
frozen layers below one upper directory; all of them live in the family's directory, which is reachable
only while a view is built, through a detached tree kept by the holder.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from . import kernel

HOME = "/home/agent"
STAGE = "/proc"
"""Where the family's directory is attached while overlays are mounted; any directory would do."""
_OVERLAY = "userxattr,index=off,volatile"
_DEEPEST_PATH = 3500
_NOTHING_SPECIAL = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def open_trees(config: dict[str, Any], idmaps: dict[tuple[int, int], int]) -> dict[str, int]:
    """Detached trees of everything the view shows, by name, opened while the host's paths can be walked.

    `idmaps` has a user namespace for each owner whose files are to appear as the sandbox's own.
    """
    trees = {"family": kernel.open_tree(config["family"])}
    if config["source"] is not None:
        trees["source"] = _open(config["source"], idmaps, True)
        kernel.set_tree_attributes(trees["source"], kernel.MOUNT_ATTR_RDONLY)
    for path in config["system"]:
        trees["=" + path] = _open(path, {}, False)
    for path in config["read_only"] + config["writable"]:
        trees["=" + path] = _open(path, idmaps, True)
    for target, host in config["mounts"].items():
        trees["=" + target] = _open(host, idmaps, True)
    for name in _DEVICES:
        trees["/dev/" + name] = kernel.open_tree("/dev/" + name)
    for path in config["system"] + config["read_only"]:
        kernel.set_tree_attributes(trees["=" + path], kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID)
    for path in [*config["writable"], *config["mounts"]]:
        kernel.set_tree_attributes(trees["=" + path], kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)
    return trees


def _open(path: str, idmaps: dict[tuple[int, int], int], idmapped: bool) -> int:
    tree = kernel.open_tree(path)
    if idmapped and idmaps:
        status = os.stat(path)
        userns = idmaps.get((status.st_uid, status.st_gid))
        if userns is not None:
            try:
                kernel.set_tree_attributes(tree, kernel.MOUNT_ATTR_IDMAP, userns, recursive=False)
            except OSError:
                # A file system without mapped mounts: what others may read is still visible.
                return tree
    return tree


class View:
    """The mounts of one holder. `repo` and `private` are the stacks, newest layer first."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.root: str = config["root"]
        self.repo: list[str] = config["repo"]
        self.private: list[str] = config["private"]
        self.repo_upper = self.private_upper = config["layer"]
        self.mode: int = config["mode"]
        self._over: list[str] = config["over"]
        self._stage = -1

    def build(self, config: dict[str, Any], trees: dict[str, int]) -> None:
        """Assemble the view and make it this process's root. Runs once, as process 1 of its namespaces."""
        kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
        kernel.move_mount(trees["family"], STAGE)
        os.chdir(STAGE)
        if "source" in trees:
            kernel.move_mount(trees["source"], "source")
            if os.stat("source").st_uid != os.geteuid():
                raise OSError(errno.EOVERFLOW, "its files cannot be mapped to the sandbox's user", "source")
        self._stage = kernel.open_tree(STAGE)
        self._make_layer(config["layer"])
        # An overlay, for a bind would show the family's path on the host in /proc/self/mountinfo.
        options = "lowerdir=root:none,userxattr"
        kernel.mount("overlay", "view", "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)
        for path in sorted(name[1:] for name in trees if name[0] == "="):
            if path not in self._over:
                kernel.move_mount(trees["=" + path], "view" + path)
        kernel.mount("proc", "view/proc", "proc", _NOTHING_SPECIAL, "hidepid=2")
        for name in _DEVICES:
            kernel.move_mount(trees["/dev/" + name], "view/dev/" + name)
        shm = f"mode=1777,size={config['shm_bytes']}"
        kernel.mount("tmpfs", "view/dev/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, shm)
        try:
            options = "newinstance,ptmxmode=0666,mode=0620"
            kernel.mount("devpts", "view/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)
        except OSError:
            # Only pseudo-terminals are missing then; most commands need none.
            pass
        self._mount_repo("view")
        self._mount_private("view")
        self._attach_over({path: trees["=" + path] for path in self._over}, "view")
        os.chdir("view")
        kernel.pivot_root(".", ".")
        kernel.unmount(".")
        os.chdir("/")
        seal = os.open("/", os.O_PATH | os.O_CLOEXEC)
        kernel.set_tree_attributes(seal, kernel.MOUNT_ATTR_RDONLY, recursive=False)
        os.close(seal)

    def _make_layer(self, layer: str) -> None:
        os.mkdir(layer, 0o700)
        for name in ("repo", "repo.work", "private", "private.work"):
            os.mkdir(f"{layer}/{name}", 0o755)
        os.chmod(f"{layer}/repo", self.mode)

    def _overlay(self, target: str, lower: list[str], area: str, upper: str) -> None:
        layers = ":".join(lower)
        options = f"lowerdir={layers},upperdir={upper}/{area},workdir={upper}/{area}.work,{_OVERLAY}"
        kernel.mount("overlay", target, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)

    def _mount_repo(self, view: str) -> None:
        self._overlay(view + self.root, self.repo, "repo", self.repo_upper)

    def _mount_private(self, view: str) -> None:
        tmp, home = view + "/tmp", view + HOME
        self._overlay(tmp, self.private, "private", self.private_upper)
        kernel.mount(tmp + "/home", home, "", kernel.MS_BIND)
        kernel.mount(tmp + "/tmp", tmp, "", kernel.MS_BIND)

    def _attach_over(self, trees: dict[str, int], view: str) -> None:
        """Binds that lie inside an overlay; they come after it, and again after it was replaced."""
        for path in sorted(trees):
            if stat.S_ISDIR(os.fstat(trees[path]).st_mode):
                os.makedirs(view + path, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(view + path), exist_ok=True)
                os.close(os.open(view + path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))
            kernel.move_mount(trees[path], view + path)
            os.close(trees[path])

    def dirty(self) -> tuple[bool, bool]:
        """Whether the repository and the private files were written to since their upper is in place."""
        repo = _holds_anything(self._stage, f"{self.repo_upper}/repo")
        private = any(
            _holds_anything(self._stage, f"{self.private_upper}/private/{name}") for name in ("tmp", "home")
        )
        return repo, private

    def freeze(self, layer: str, repo: bool, private: bool) -> None:
        """Put the named uppers under a fresh one: what was written so far can then be shared."""
        self.mode = os.stat(self.root).st_mode & 0o7777
        over = {path: kernel.open_tree(path) for path in self._over}
        for path in sorted(self._over, reverse=True):
            kernel.unmount(path)
        kernel.move_mount(self._stage, STAGE)
        self._stage = kernel.open_tree(STAGE)
        try:
            os.chdir(STAGE)
            self._make_layer(layer)
            if repo:
                self.repo.insert(0, f"{self.repo_upper}/repo")
                self.repo_upper = layer
                kernel.unmount(self.root)
                self._mount_repo("")
            if private:
                self.private.insert(0, f"{self.private_upper}/private")
                self.private_upper = layer
                kernel.unmount(HOME)
                kernel.unmount("/tmp")
                kernel.unmount("/tmp")
                self._mount_private("")
        finally:
            os.chdir("/")
            kernel.unmount(STAGE)
        self._attach_over(over, "")

    def usage(self) -> int:
        """Bytes that the uppers occupy; every entry counts as a block at least."""
        total = 0
        pending = [f"{self.repo_upper}/repo", f"{self.private_upper}/private"]
        while pending:
            path = pending.pop()
            if len(path) > _DEEPEST_PATH:
                return 1 << 62  # too deep to be measured, so deep on purpose
            total += _measure(self._stage, path, pending)
        return total


def _measure(base: int, path: str, pending: list[str]) -> int:
    """Usage of one directory without its subdirectories, which are added to `pending`."""
    total = 0
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=base)
    except OSError:
        return 0  # removed meanwhile
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                total += max(status.st_blocks * 512, 4096)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{path}/{entry.name}")
    finally:
        os.close(directory)
    return total


def _holds_anything(base: int, path: str) -> bool:
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=base)
    except FileNotFoundError:
        return False
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is not None
    finally:
        os.close(directory)
