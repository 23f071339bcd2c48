"""ContainerBox: a trial in a container of the engine, as Harbor runs it: the image's user and capabilities."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....tools.errors import SandboxError
from ....tools.sandbox.docker_images import daemon_errors
from ....tools.sandbox.leftovers import LABEL, OWNER_LABEL
from ....tools.sandbox.ownership import owner_mark
from ...benchmarks.harbor.schema import Environment
from .box import Box, Done, pack

_KEPT = 4 << 20
_KILL = (
    "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -qx 'HARBOR_EXEC={mark}' "
    "&& kill -9 ${{p#/proc/}}; done; true"
)


class ContainerBox(Box):
    """One container over the image that `environment` names or that `context`/Dockerfile builds."""

    def __init__(
        self,
        context: Path,
        environment: Environment,
        env: Mapping[str, str],
        *,
        offline: bool,
        label: str,
    ) -> None:
        """Raises: SandboxError with the engine's own words. `offline`: no phase needs the network."""
        from docker import from_env

        self._env, self._bash = dict(env), False
        self._container: Any = None
        with daemon_errors("reach the Docker daemon"):
            self._client: Any = from_env(timeout=int(environment.build_timeout_sec) + 30)
        image = environment.docker_image or self._built(context)
        with daemon_errors(f"use the image {image}"):
            self._present(image)
            config = self._client.api.inspect_image(image)["Config"]
        self.workdir = environment.workdir or config.get("WorkingDir") or "/"
        self._switched = not offline
        self._allowed = not offline
        with daemon_errors("start a container"):
            self._container = self._client.containers.create(
                image,
                ["sh", "-c", "sleep infinity"],
                network_mode="bridge" if self._switched else "none",
                working_dir=environment.workdir,
                mem_limit=f"{environment.memory_mb}m" if environment.memory_mb else None,
                nano_cpus=int(environment.cpus * 1e9) if environment.cpus else None,
                labels={LABEL: label, OWNER_LABEL: owner_mark(kind="docker", label=label)},
                init=True,
            )
            self._container.start()
        self._bash = self.exec("true", shell="bash").exit_code == 0

    def _built(self, context: Path) -> str:
        """The image of `context`, built once for the same files."""
        name = f"swe-agent-harbor:{hashlib.sha256(pack(context)).hexdigest()[:24]}"
        from docker.errors import BuildError, ImageNotFound

        with daemon_errors("build the environment"):
            try:
                self._client.images.get(name)
                return name
            except ImageNotFound:
                pass
            try:
                self._client.images.build(path=str(context), tag=name, rm=True, forcerm=True)
            except BuildError as error:
                raise SandboxError(f"environment/Dockerfile does not build: {error.msg}") from error
        return name

    def _present(self, image: str) -> None:
        from docker.errors import ImageNotFound

        try:
            self._client.images.get(image)
        except ImageNotFound:
            self._client.images.pull(image)

    def exec(
        self,
        command: str,
        *,
        timeout: float | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | int | None = None,
        shell: str | None = None,
    ) -> Done:
        mark = uuid.uuid4().hex
        words = [shell or ("bash" if self._bash else "sh"), "-c", command]
        with daemon_errors("run a command"):
            started = self._client.api.exec_create(
                self._container.id,
                words,
                workdir=cwd or self.workdir,
                environment={**self._env, **(env or {}), "HARBOR_EXEC": mark},
                user="" if user is None else str(user),
            )["Id"]
        output = bytearray()
        reader = threading.Thread(target=self._read, args=(started, output), daemon=True)
        reader.start()
        reader.join(timeout)
        timed_out = reader.is_alive()
        if timed_out:
            with daemon_errors("end a command"):
                self._container.exec_run(["sh", "-c", _KILL.format(mark=mark)], user="root")
            reader.join(10)
        with daemon_errors("run a command"):
            code = self._client.api.exec_inspect(started)["ExitCode"]
        text = bytes(output).decode("utf-8", "replace")
        return Done(124 if timed_out else 125 if code is None else int(code), text, timed_out)

    def _read(self, started: str, output: bytearray) -> None:
        with contextlib.suppress(Exception):  # the caller asks the engine how it ended
            for chunk in self._client.api.exec_start(started, stream=True):
                if len(output) < _KEPT:
                    output += chunk

    def network(self, allowed: bool) -> None:
        if allowed == self._allowed:
            return
        if not self._switched:
            raise SandboxError("this container was made without a network")
        with daemon_errors("switch the network"):
            bridge = self._client.networks.get("bridge")
            (bridge.connect if allowed else bridge.disconnect)(self._container)
        self._allowed = allowed

    def put_archive(self, archive: bytes, target: str) -> None:
        with daemon_errors("copy files into the container"):
            self._container.exec_run(["mkdir", "-p", target], user="root")
            if not self._container.put_archive(target, archive):
                raise SandboxError(f"files cannot be put into {target}")

    def get_archive(self, path: str) -> bytes | None:
        from docker.errors import NotFound

        with daemon_errors("copy files out of the container"):
            try:
                chunks, _ = self._container.get_archive(path)
                return b"".join(chunks)
            except NotFound:
                return None

    def close(self) -> None:
        if self._container is not None:
            with contextlib.suppress(SandboxError), daemon_errors("remove the container"):
                self._container.remove(force=True, v=True)
            self._container = None
            self._client.close()
