"""docker: containers, through the Docker SDK; podman's compatible socket works alike (DOCKER_HOST)."""

from __future__ import annotations

import errno
import os
import shlex
import threading
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

from ..errors import SandboxError
from .base import ExecResult, Sandbox, SandboxSpec, Session
from .container import Container, ShellEndedError
from .container_environment import look_inside
from .container_files import raise_errno, read_script, write_script
from .container_session import ContainerSession
from .container_shell import assignments, literal
from .docker_images import HOME as _HOME
from .docker_images import ImageLayer, daemon_errors, prepare_tree
from .environment import shell_argv
from .leftovers import LABEL, OWNER_LABEL
from .ownership import owner_mark

_DEPTH = 110
"""The daemon stacks about 125 layers, the image's own among them."""
_INLINE = 256 << 10


class DockerSandbox(Sandbox):
    """One container per fork, started from a commit of its parent.

    The image's own tree at `spec.root` is used when it has one; else `spec.source` is copied there.
    Commands run as the image's user, else as the owner of its tree, else as user 1000.
    """

    kind: ClassVar[str] = "docker"
    walls: ClassVar[bool] = True

    def __init__(self, spec: SandboxSpec, *, _parent: DockerSandbox | None = None) -> None:
        """Raises: SandboxError with the daemon's own words."""
        self.root = spec.root
        self._spec = spec
        self._lock = threading.RLock()
        self._closed = False
        self._over_disk = False
        self._dirty = False
        """Whether anything ran since `_state`."""
        self._session = False
        """Whether a session has the shell's streams."""
        self._container: Container | None = None
        if _parent is None:
            self._open()
            return
        self._api, self._user, self._ids = _parent._api, _parent._user, _parent._ids
        self._env, self._bash = _parent._env, _parent._bash
        self._start(_parent._state)

    def _open(self) -> None:
        image = self._spec.image
        if image is None:
            raise SandboxError("the docker sandbox needs an image: name one with --image")
        if not self._spec.source.is_dir():
            raise SandboxError(f"{self._spec.source} is not a directory: name the repository to work on")
        from docker import APIClient
        from docker.utils import kwargs_from_env

        with daemon_errors("reach the Docker daemon"):
            self._api: Any = APIClient(**kwargs_from_env(), version="auto", timeout=300)
        with daemon_errors(f"use the image {image}"):
            config = self._api.inspect_image(image).get("Config") or {}
        base = ImageLayer(image, None, ours=False)
        with daemon_errors("prepare the image"):
            tree = prepare_tree(self._api, self._spec, config.get("User") or "", self._labels())
        self._user = tree.user
        self._start(base if tree.image is None else ImageLayer(tree.image, base, ours=True))
        try:
            self._probe(copied=tree.copied)
        except BaseException:
            self.close()
            raise

    def _start(self, layer: ImageLayer) -> None:
        """Start the container of this fork on a committed state."""
        self._base = self._state = layer
        layer.acquire()
        layer.acquire()
        try:
            self._container = Container.start(self._api, self._spec, layer.image, self._user, self._labels())
        except BaseException:
            self.close()
            raise

    def _probe(self, *, copied: bool) -> None:
        """Learn what the image has: a shell, a home, a search path, a conda environment `testbed`."""
        found = look_inside(lambda script: self._used().run(script, timeout=60), _HOME if copied else "")
        if found is None:
            raise SandboxError(f"the image {self._spec.image} has no usable shell")
        self._bash, self._ids, self._env = found.shell, found.ids, found.env
        self._dirty = False

    def exec(
        self,
        cmd: str | Sequence[str],
        *,
        timeout: float | None = None,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> ExecResult:
        limits = self._spec.limits
        argv = shell_argv(cmd, self._bash) if isinstance(cmd, str) else [str(part) for part in cmd]
        if any("\0" in part for part in argv):
            return ExecResult(126, "a command cannot hold a null byte\n", 0.0)
        with self._lock:
            limit = "ulimit -f 0; " if self._over_disk else ""
            source, prefix = self._stdin(stdin)
            try:
                done = self._used().run(
                    f"{prefix}{self._program(argv, cwd, env, before=limit)}",
                    stdin=source,
                    timeout=limits.wall_s if timeout is None else timeout,
                    output_bytes=limits.output_bytes,
                    watch=self._watch_disk,
                )
            except ShellEndedError:
                return ExecResult(137, "[killed: it ended the shell of the sandbox]\n", 0.0)
            if self._over_disk:
                self._over_disk = self._exceeds()
        timed_out = done.stopped == "timeout"
        if done.stopped and not timed_out:
            done.output.feed(f"\n[killed: {done.stopped}]\n".encode())
        code = 124 if timed_out else 137 if done.stopped else done.exit_code
        text = done.output.value().decode("utf-8", "replace")
        return ExecResult(code, text, done.duration_s, timed_out, done.output.truncated)

    def _program(
        self,
        argv: Sequence[str],
        cwd: str | PurePosixPath | None,
        env: Mapping[str, str] | None,
        *,
        before: str = "",
    ) -> str:
        """Shell code that turns into a program."""
        place = shlex.quote(str(self.root / (cwd or "")))
        exports = assignments({**self._env, **self._spec.env, **(env or {})})
        return f"cd {place} || exit 126; {exports}{before}exec {shlex.join(argv)}"

    def open_session(
        self,
        argv: Sequence[str],
        *,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Session:
        """See `Sandbox.open_session`. Until it is closed everything else raises SandboxError."""
        with self._lock:
            container = self._alive()
            self._dirty = self._session = True
            words = [str(part) for part in argv]
            name, lacking = shlex.quote(words[0]), shlex.quote(f"{words[0]}: not found")
            found = f"command -v {name} >/dev/null || {{ echo {lacking}; exit 127; }}; "

            def script(before: str) -> str:
                return self._program(words, cwd, env, before=found + before) + " 2>/dev/null"

            try:
                return ContainerSession(container.shell, script, self._watch_disk, self._end_session)
            except ConnectionError as error:
                raise SandboxError(f"the container is gone: {container.why(error)}") from error

    def _end_session(self) -> None:
        self._session = False

    def read_bytes(self, path: str | PurePosixPath, *, max_bytes: int | None = None) -> bytes:
        target = self.root / path
        with self._lock:
            done = self._used().run(read_script(target, max_bytes), timeout=300)
        raise_errno(done, target)
        return done.output.value()

    def peek(self, path: str, max_bytes: int) -> bytes | None:
        """Without the lock, which the running command holds."""
        container = self._container
        return container.peek(self.root / path, max_bytes) if container is not None else None

    def write_bytes(self, path: str | PurePosixPath, data: bytes) -> None:
        target = self.root / path
        limit = self._spec.limits.file_bytes
        if limit is not None and len(data) > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(target))
        with self._lock:
            if self._over_disk and self._exceeds():
                raise OSError(errno.EDQUOT, "the disk limit of this sandbox is used up", str(target))
            held = None if len(data) <= _INLINE else self._alive().upload(data, self._ids)
            done = self._used().run(write_script(target, data, held), timeout=300)
        raise_errno(done, target)

    def fork(self) -> DockerSandbox:
        with self._lock:
            container = self._alive()
            if self._dirty:
                if self._base.depth >= _DEPTH:
                    raise SandboxError(
                        f"this fork would be {_DEPTH} generations deep, more than the daemon can stack: "
                        "fork from an earlier state"
                    )
                image = container.commit(self._labels())
                old, self._state = self._state, ImageLayer(image, self._base, ours=True)
                self._state.acquire()
                old.release(self._api)
                self._dirty = False
            return DockerSandbox(self._spec, _parent=self)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        # Removing first ends a command that another thread waits for, which then lets go of the lock.
        if self._container is not None:
            self._container.remove()
        with self._lock:
            if self._container is not None:
                self._container.shell.close()
            self._base.release(self._api)
            self._state.release(self._api)

    def _used(self) -> Container:
        """The live container, whose state changes from here on. With the lock held."""
        container = self._alive()
        self._dirty = True
        return container

    def _stdin(self, data: bytes | None) -> tuple[str, str]:
        """How the shell gets `data` to the command: a redirection or a command, and what runs first."""
        if data is None:
            return "</dev/null", ""
        if len(data) <= _INLINE:
            return literal(data), ""
        held = self._alive().upload(data, self._ids)
        return f"<{held}", f"rm -f {held}; "

    def _watch_disk(self) -> str | None:
        if self._over_disk or not self._exceeds():
            return None
        self._over_disk = True
        return f"disk limit of {self._spec.limits.disk_bytes} bytes"

    def _exceeds(self) -> bool:
        return self._container is not None and self._container.exceeds(self._spec.limits.disk_bytes)

    def _labels(self) -> dict[str, str]:
        label = self._spec.label
        return {LABEL: label, OWNER_LABEL: owner_mark(kind="docker", label=label)}

    def _alive(self) -> Container:
        if self._closed or self._container is None:
            raise SandboxError("the sandbox is closed")
        if self._session:
            raise SandboxError("a session is open in this sandbox: close it first, or use a fork")
        return self._container
