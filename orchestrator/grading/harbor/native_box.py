"""NativeBox: a trial in a namespace, without an engine. The task's directories are folders of the trial."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ....tools.errors import SandboxError
from ....tools.sandbox import Limits, Sandbox, SandboxSpec, open_sandbox
from ...benchmarks.harbor.adapter import copied
from ...benchmarks.harbor.dockerfile import Copy, NativeImage, top_of
from ...benchmarks.harbor.schema import Environment
from .box import Box, Done

_OWN = ("/logs", "/tests", "/solution", "/runtime", "/tmp", "/root", "/home/agent")
NO_NETWORK = "network_mode public: a namespace gives none"
NOTE = "in a namespace: this machine's programs, one user, and no process outlives its command"


class NativeBox(Box):
    """Directories that the task writes to are mounted from `home`. There is no network in any phase: a
    namespace would share this machine's, its loopback included."""

    def __init__(
        self,
        home: Path,
        image: NativeImage,
        context: Path,
        environment: Environment,
        env: Mapping[str, str],
        *,
        label: str,
    ) -> None:
        """Carries out the image's steps. Raises: SandboxError naming the step that failed."""
        self.notes = (NOTE,)
        self.workdir = environment.workdir or image.workdir
        home.mkdir(parents=True, exist_ok=True)
        self._home = Path(tempfile.mkdtemp(prefix="box-", dir=home))
        tops = dict.fromkeys((*image.tops, top_of(self.workdir), *_OWN))
        self._mounts = {
            PurePosixPath(top): self._home / "disk" / top.strip("/").replace("/", "-") for top in tops
        }
        for folder in (self._home / "nothing", *self._mounts.values()):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
        self._env = {**image.env, "DEBIAN_FRONTEND": "noninteractive"}
        self._label = label
        self._limits = Limits(
            memory_bytes=(environment.memory_mb or 4096) << 20, output_bytes=4 << 20, disk_bytes=None
        )
        self._sandbox: Sandbox = self._open()
        try:
            self._build(image, context)
        except BaseException:
            self.close()
            raise
        self._env |= env

    def _open(self) -> Sandbox:
        spec = SandboxSpec(
            source=self._home / "nothing",
            scratch=self._home / "scratch",
            root=PurePosixPath("/box"),
            mounts=self._mounts,
            limits=self._limits,
            label=self._label,
        )
        return open_sandbox("namespace", spec)

    def _build(self, image: NativeImage, context: Path) -> None:
        for directory in (*image.directories, self.workdir):
            self._must(f"mkdir -p {shlex.quote(directory)}", "/", "its directories cannot be made")
        for step in image.steps:
            if isinstance(step, Copy):
                self.put_files({name.lstrip("/"): data for name, data in copied(context, step).items()}, "/")
            else:
                self._must(step.command, step.cwd, f"RUN {step.command} cannot be carried out in a namespace")

    def _must(self, command: str, cwd: str, what: str) -> None:
        done = self.exec(command, cwd=cwd, timeout=600)
        if done.exit_code != 0:
            raise SandboxError(f"{what}: {done.output.strip()[-300:]}")

    def exec(
        self,
        command: str,
        *,
        timeout: float | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | int | None = None,
    ) -> Done:
        merged = {**self._env, **(env or {})}
        done = self._sandbox.exec(command, timeout=timeout, cwd=cwd or self.workdir, env=merged)
        return Done(done.exit_code, done.output, done.timed_out)

    def network(self, allowed: bool) -> None:
        if allowed and NO_NETWORK not in self.notes:
            self.notes = (*self.notes, NO_NETWORK)

    def put_archive(self, archive: bytes, target: str) -> None:
        # a link that waits where a file is to go is removed first; names that end in a directory stay
        command = f"mkdir -p {shlex.quote(target)} && tar -xf - --unlink-first --no-same-owner -C {shlex.quote(target)}"
        done = self._sandbox.exec(command, stdin=archive, cwd="/", timeout=600)
        if done.exit_code != 0:
            raise SandboxError(f"files cannot be put into {target}: {done.output.strip()[-300:]}")

    def get_archive(self, path: str) -> bytes | None:
        parent, name = shlex.quote(str(PurePosixPath(path).parent)), shlex.quote(PurePosixPath(path).name)
        held = "/tmp/.archive.tar"
        done = self._sandbox.exec(
            f"test -e {shlex.quote(path)} && tar -cf {held} -C {parent} -- {name}", cwd="/"
        )
        if done.exit_code != 0:
            return None
        try:
            return self._sandbox.read_bytes(held)
        finally:
            self._sandbox.exec(["rm", "-f", held], cwd="/")

    def close(self) -> None:
        self._sandbox.close()
