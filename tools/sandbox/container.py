"""Container: one container of the daemon and the shell in it that runs everything."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import PurePosixPath
from tarfile import TarError
from typing import Any, Self

from ..errors import SandboxError
from .base import SandboxSpec
from .container_shell import PROGRAM, ContainerShell, ShellResult
from .docker_archive import file_archive, read_member
from .docker_images import daemon_errors
from .docker_walls import container_walls
from .holder.held import read_file, unlinked_bytes

_KILLED_OUTSIDE = (137, 143)
"""Exit codes of a container that was stopped: no command inside can signal its first process so."""


class ShellEndedError(SandboxError):
    """A command ended the shell that runs it, twice; the container is there again."""


class Container:
    """Started by `start`, ended by `remove`. Not safe to use from several threads at once, but for `peek`."""

    def __init__(self, api: Any, id: str) -> None:
        self._api = api
        self._id = id
        self._removed = False
        self._shell: ContainerShell | None = None

    @classmethod
    def start(cls, api: Any, spec: SandboxSpec, image: str, user: str, labels: Mapping[str, str]) -> Self:
        """A container of `image` behind the walls of `spec`. Raises: SandboxError."""
        with daemon_errors("start a container"):
            container = cls(
                api,
                api.create_container(
                    image,
                    PROGRAM,
                    entrypoint=[],
                    stdin_open=True,
                    user=user,
                    working_dir="/",
                    labels=dict(labels),
                    host_config=container_walls(api, spec),
                )["Id"],
            )
        try:
            with daemon_errors("start a container"):
                container._start_shell()
        except BaseException:
            container.remove()
            raise
        return container

    @property
    def shell(self) -> ContainerShell:
        assert self._shell is not None
        return self._shell

    def _start_shell(self) -> None:
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = self._api.attach_socket(self._id, streams)
        self._api.start(self._id)
        self._shell = ContainerShell(attached, self._kill_commands)

    def _kill_commands(self) -> None:
        with daemon_errors("stop the command"):
            self._api.kill(self._id, "USR1")

    def _revive(self) -> bool:
        """A command can end the container's shell (it is of the same user); the container's files are still there.
        Whether it runs again."""
        try:
            with daemon_errors("start the container again"):
                state = self._api.inspect_container(self._id)["State"]
                killed = state.get("OOMKilled") or state.get("ExitCode") in _KILLED_OUTSIDE
                if self._removed or killed or state.get("Status") != "exited":
                    return False
                self._start_shell()
        except SandboxError:
            return False
        return True

    def run(
        self,
        script: str,
        *,
        timeout: float,
        stdin: str = "</dev/null",
        output_bytes: int = 4 << 30,
        watch: Callable[[], str | None] | None = None,
    ) -> ShellResult:
        """Run shell code; see `ContainerShell.run`. Raises: ShellEndedError; SandboxError when the container is gone."""
        try:
            # Once more: the command before may have left an order to end in the shell's input.
            for _ in range(2):
                try:
                    return self.shell.run(
                        script, stdin=stdin, timeout=timeout, output_bytes=output_bytes, watch=watch
                    )
                except ConnectionError as error:
                    if not self._revive():
                        raise SandboxError(f"the container is gone: {self.why(error)}") from error
            raise ShellEndedError("the command ends the shell of the sandbox")
        except BaseException:
            self.shell.close()  # interrupted: the rest of the output would be taken for the next one's
            raise

    def why(self, error: ConnectionError) -> str:
        """What the daemon says about the end of the container."""
        if self._removed:
            return "it was closed"
        try:
            with daemon_errors("ask the Docker daemon"):
                state = self._api.inspect_container(self._id)["State"]
        except SandboxError as reason:
            return str(reason)
        if state.get("OOMKilled"):
            return "it ran out of memory"
        said = state.get("Error") or error
        return f"{state.get('Status')}, exit code {state.get('ExitCode')}: {said}"

    def upload(self, data: bytes, ids: tuple[int, int]) -> str:
        """Put `data` in a file of the container through the daemon, without the shell; returns its path."""
        name = f".swe-agent-{uuid.uuid4().hex}"
        with daemon_errors("copy data into the container"):
            self._api.put_archive(self._id, "/tmp", file_archive(name, data, *ids))
        return f"/tmp/{name}"

    def commit(self, labels: Mapping[str, str]) -> str:
        """Id of an image of the container as it is."""
        with daemon_errors("commit the container"):
            return self._api.commit(self._id, pause=False, conf={"Labels": dict(labels)})["Id"]

    def exceeds(self, limit: int | None) -> bool:
        """Whether what was written in it is more than `limit` bytes."""
        if limit is None:
            return False
        with daemon_errors("measure the container"):
            found = self._api.containers(all=True, size=True, filters={"id": self._id})
        written = int(found[0].get("SizeRw") or 0) if found else 0
        return written + unlinked_bytes(self._processes()) > limit

    def _processes(self) -> list[str]:
        """Numbers of its processes on this host; none where the daemon runs on another, or its files are not ours
        to see: what they hold without a name is not known there."""
        rows: list[list[str]] = []
        with suppress(SandboxError), daemon_errors("list the container's processes"):
            rows = self._api.top(self._id, ps_args="-eo pid")["Processes"] or []
        return [pid for (pid, *_) in rows if self._id.encode() in read_file(f"/proc/{pid}/cgroup")]

    def peek(self, path: PurePosixPath, max_bytes: int) -> bytes | None:
        """A file as it is now, beside whatever runs; None where there is none or it is larger."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            chunks, about = self._api.get_archive(self._id, str(path))
            with closing(chunks):
                return read_member(chunks) if about["size"] <= max_bytes else None
        except (DockerException, RequestException, TarError, KeyError, OSError):
            return None

    def remove(self) -> None:
        """End whatever runs in it, from any thread."""
        self._removed = True
        with suppress(SandboxError), daemon_errors("remove the container"):
            self._api.remove_container(self._id, force=True, v=True)
