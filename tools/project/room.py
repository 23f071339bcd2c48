"""BuildRoom: the sandbox in which environments are built. Nothing of a build runs on the host.

Inside are the repository (copy-on-write), the folder being built (writable), inputs (read-only), a private
home, and one socket to the package index; memory, CPU time, processes, files and disk are limited. The host
reads what comes out as data. In the `plain` sandbox there are no walls, and it says so.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from ..errors import BudgetExceeded, ProjectError, SandboxError
from ..sandbox import DEFAULT_ROOT, Limits, Sandbox, SandboxSpec, open_sandbox
from . import relay
from .index import IndexSettings, PackageIndex, index_settings
from .index_server import IndexServer

BUILD_TIMEOUT_S = 1800.0
BUILD_LIMITS = Limits(
    wall_s=BUILD_TIMEOUT_S,
    memory_bytes=12 << 30,
    cpu_s=7200,
    processes=2048,
    file_bytes=8 << 30,
    disk_bytes=20 << 30,
)
_MOST_ARTEFACTS = 1 << 30
_LOOK_S, _LOOK_SHARE = 2.0, 0.05
"""Between two looks at the disk: at least so long, and so long that looking takes no more of the time than that."""


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """What one command of a build did."""

    exit_code: int
    output: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class RoomSpec:
    """What a room is opened over."""

    repository: Path
    """Seen at `root`; what is written there is lost with the room."""
    interpreter: Path
    """A Python of the host's, which runs the relay."""
    writable: tuple[Path, ...]
    """Folders being built. Nothing in them may be followed or executed by the host afterwards."""
    read_only: tuple[Path, ...] = ()
    cache: Path = Path("/nonexistent")
    """Folder of downloaded packages."""
    scratch: Path | None = None
    root: PurePosixPath = DEFAULT_ROOT
    sandbox: str = "auto"
    exempt: tuple[str, ...] = ()
    """Packages that no cut-off date applies to."""
    hosts: tuple[str, ...] | None = ()
    """Public hosts that may be reached besides the index; None: all."""
    limits: Limits = BUILD_LIMITS
    settings: IndexSettings | None = None
    """Package indexes; None: those of the host."""
    left_s: Callable[[], float | None] = lambda: None
    """Seconds that all commands together may still take; None: no limit."""


class BuildRoom:
    """An open room; a context manager. Raises: SandboxError when it cannot be opened."""

    def __init__(self, spec: RoomSpec) -> None:
        self._spec = spec
        # A short path: addresses of sockets have 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="swe-room-"))
        self._folder.chmod(0o755)
        shutil.copyfile(Path(relay.__file__), self._folder / "relay.py")
        self.index = PackageIndex(spec.settings or index_settings(), spec.cache / "packages")
        self._server = IndexServer(
            self.index, self._folder / "index.sock", exempt=spec.exempt, hosts=spec.hosts
        )
        self._full = threading.Event()
        self._done = threading.Event()
        try:
            self.sandbox: Sandbox = open_sandbox(spec.sandbox, self._walls())
        except BaseException:
            self._close_index()
            raise
        self.root = self.sandbox.root
        self._watch = threading.Thread(target=self._look_at_disk, daemon=True)
        self._watch.start()

    def _walls(self) -> SandboxSpec:
        spec = self._spec
        return SandboxSpec(
            source=spec.repository,
            scratch=spec.scratch or self._folder / "scratch",
            root=spec.root,
            read_only=tuple(
                dict.fromkeys((*spec.read_only, self._folder / "relay.py", self._folder / "index.sock"))
            ),
            writable=spec.writable,
            env={"GIT_TERMINAL_PROMPT": "0"},
            network=False,
            limits=replace(spec.limits, output_bytes=4 << 20),
            label="build",
        )

    def allow(self, hosts: Collection[str]) -> None:
        """Let what follows reach these public hosts, too."""
        if self._server.hosts is not None:
            self._server.hosts |= set(hosts)

    @property
    def walls(self) -> bool:
        return self.sandbox.walls

    def run(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | PurePosixPath | None = None,
        until: str | None = None,
        timeout: float = BUILD_TIMEOUT_S,
    ) -> BuildOutcome:
        """Run a command (a string: by bash) that may install packages, none uploaded after the date `until`.

        Raises: ProjectError when the disk limit is hit or the index cannot be reached; BudgetExceeded when the
        room's time is used up.
        """
        left = self._spec.left_s()
        timeout = timeout if left is None else min(timeout, max(0.1, left))
        words = ["bash", "-c", command] if isinstance(command, str) else [str(word) for word in command]
        argv = [
            str(self._spec.interpreter),
            "-I",
            "-S",
            str(self._folder / "relay.py"),
            str(self._folder / "index.sock"),
        ]
        place = f"{{index}}/until/{until}/simple/" if until else "{index}/simple/"
        own = {**index_variables(place, proxy=self._server.hosts != frozenset()), **(env or {})}
        self.index.unreachable = ""
        try:
            done = self.sandbox.exec([*argv, *words], env=own, cwd=cwd, timeout=timeout)
        except SandboxError as error:
            if self._full.is_set():
                raise ProjectError(
                    f"the installation wrote more than {(self._spec.limits.disk_bytes or 0) >> 30} GiB: it was stopped"
                ) from error
            raise
        left = self._spec.left_s()
        if done.timed_out and left is not None and left <= 0.5:
            raise BudgetExceeded(
                "the time limit was reached while the environment was set up; raise --timeout"
            )
        if done.exit_code != 0 and self.index.unreachable:
            raise ProjectError(f"the package index cannot be reached ({self.index.unreachable})")
        return BuildOutcome(done.exit_code, done.output)

    def archive(self, paths: Collection[str]) -> bytes:
        """A tar archive, made inside, of files below the root; to be read as data. Raises: ProjectError."""
        target = f"{self.sandbox.temporary}/artefacts.tar"
        listed = "\0".join(sorted(paths)).encode("utf-8", "surrogateescape")
        command = f"tar --no-recursion -cf {shlex.quote(target)} --null --verbatim-files-from -T -"
        done = self.sandbox.exec(command, stdin=listed)
        if done.exit_code != 0:
            raise ProjectError(f"the files that the installation made cannot be saved: {done.output[-300:]}")
        data = self.sandbox.read_bytes(target, max_bytes=_MOST_ARTEFACTS + 1)
        if len(data) > _MOST_ARTEFACTS:
            raise ProjectError("the files that the installation made in the tree take more than 1 GiB")
        return data

    def _look_at_disk(self) -> None:
        most, pause = self._spec.limits.disk_bytes, _LOOK_S
        while most is not None and not self._done.wait(pause):
            began = time.monotonic()
            if sum(_occupied(path) for path in self._spec.writable) > most:
                self._full.set()
                self.sandbox.close()
                return
            pause = max(_LOOK_S, (time.monotonic() - began) / _LOOK_SHARE)

    def close(self) -> None:
        self._done.set()
        self.sandbox.close()
        self._close_index()

    def _close_index(self) -> None:
        self._server.close()
        self.index.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def index_variables(place: str, *, proxy: bool) -> dict[str, str]:
    """What tells pip, uv and setuptools where packages are; configuration files are not read."""
    env = {
        "PIP_INDEX_URL": place,
        "UV_DEFAULT_INDEX": place,
        "UV_NO_CONFIG": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_RETRIES": "0",
        "UV_HTTP_RETRIES": "0",
        "UV_NO_PROGRESS": "1",
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy") if proxy else ()
    return env | dict.fromkeys(names, "{index}")


def _occupied(folder: Path) -> int:
    """Bytes of a tree, links not followed."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(where, name).lstat().st_blocks * 512
            except OSError:
                continue
    return total
