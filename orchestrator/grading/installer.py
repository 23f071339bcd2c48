"""Installer: commands that put packages into one virtual environment, in a build room, against a cut-off date."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NoReturn, Self

from ...tools.errors import ProjectError
from ...tools.project.installer import copy_own_pip, find_uv, shown_uv
from ...tools.project.interpreters import Interpreter
from ...tools.project.resolve import forge_hosts, required_hosts
from ...tools.project.room import BuildRoom, RoomSpec
from ...tools.sandbox.environment import SYSTEM_PATH
from ..solving.run_directory import cache_root
from .constraints import constraints_of, culprit_of, name_of, readable, with_wheels
from .spec import EnvironmentSpec

_BUILD_FILES, _MOST_BUILD_FILE = ("pyproject.toml", "setup.cfg", "setup.py"), 1 << 20
_VCS = re.compile(r"(^|@\s*)(git|hg|svn|bzr)\+")
_ERROR = re.compile(r"(\w+\.)*\w*(Error|Exception): |fatal: |error: ")
_SAYS_NOTHING = re.compile(
    r"error: (subprocess-exited|legacy-install|metadata-generation|failed-wheel|the build backend|failed to build)",
    re.IGNORECASE,
)
_BUILD_TOOLS = frozenset({"setuptools", "wheel", "cython", "setuptools-scm"})
LOG = "build.log"
LATER = "2024-08-15"
"""Second cut-off date: when the specifications' newest pins were out. Older pins may need newer parts."""


@contextmanager
def leaving_only_the_log(directory: Path) -> Iterator[None]:
    """A build that fails leaves its log, which its error names, and nothing else."""
    try:
        yield
    except BaseException:
        for path in directory.iterdir():
            if path.name == LOG:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


class Installer:
    """Installs into `directory/venv`, in a build room; what it ran is in `directory/build.log`. A context manager:
    the room is open inside. Of the directory only `venv` and `testbed` can be written by what is installed."""

    def __init__(
        self,
        directory: Path,
        spec: EnvironmentSpec,
        env: Mapping[str, str],
        cutoff: str | None,
        interpreter: Interpreter,
    ) -> None:
        self.directory = directory
        self.workdir = directory
        self.venv = directory / "venv"
        self.spec = spec
        self.cutoff = cutoff
        self.interpreter = interpreter
        self.notes: list[str] = []
        self.other_dates = [LATER] if cutoff and cutoff < LATER else []
        """Cut-off dates to fall back to, in order."""
        self.last = ""
        """What the last command said."""
        self.env = {
            **env,
            "PATH": f"{self.venv}/bin:{SYSTEM_PATH}",
            "GIT_CEILING_DIRECTORIES": str(directory),
        }
        self._cache = cache_root()
        uv = find_uv()
        self.uv = str(shown_uv(uv, self._cache)) if uv else None
        self._log = directory / LOG
        self._constraints = constraints_of(spec)
        self._room: BuildRoom | None = None

    def __enter__(self) -> Self:
        inputs = self.directory / "inputs"
        inputs.mkdir(exist_ok=True)
        shown = [self.interpreter.prefix, *([Path(self.uv).parent] if self.uv else []), inputs]
        self._room = BuildRoom(
            RoomSpec(
                repository=inputs,
                interpreter=self.interpreter.path,
                writable=tuple(path for path in (self.venv, self.directory / "testbed") if path.is_dir()),
                read_only=tuple(path for path in shown if not path.is_relative_to("/usr")),
                cache=self._cache,
                scratch=self.directory / "scratch",
                exempt=self.spec.pinned,
                hosts=self._named_hosts(),
            )
        )
        if not self._room.walls:
            self.note("built without walls: this machine has none to offer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._room is not None:
            self._room.close()
            self._room = None
        shutil.rmtree(self.directory / "scratch", ignore_errors=True)

    def _named_hosts(self) -> tuple[str, ...]:
        """Hosts that the specification and the checkout's build files name; nothing else but the index is reached."""
        spec = self.spec
        lines = [*spec.pip, *spec.packages, *spec.pre_install, spec.freeze or ""]
        for name in _BUILD_FILES:
            path = self.directory / "testbed" / name
            if path.is_file() and not path.is_symlink():
                text = path.read_bytes()[:_MOST_BUILD_FILE].decode("utf-8", "replace")
                lines += [f"https://{host}/" for host in required_hosts(text)]
        return forge_hosts(lines)

    def make_venv(self) -> None:
        """An empty environment with pip in it, made by the host before anything is installed.
        Raises: ProjectError when there is no way to make one."""
        python = str(self.interpreter.path)
        if self._on_host([python, "-m", "venv", "--without-pip", "--clear", str(self.venv)]) != 0:
            self.fail("the virtual environment could not be made")
        if self.interpreter.release >= (3, 9):
            site = self.venv / "lib" / f"python{self.interpreter.short}" / "site-packages"
            seeded = copy_own_pip(site)
        else:  # our pip does not run on these
            seeded = self._on_host([str(self.venv / "bin/python"), "-m", "ensurepip", "--default-pip"]) == 0
        if not seeded and self.uv is None:
            self.fail("the virtual environment could not be given a pip")

    def seed(self) -> None:
        """setuptools and wheel of the time, which old builds take for granted."""
        self._pip(["pip", "setuptools", "wheel"], self.cutoff)

    def _on_host(self, command: Sequence[str]) -> int:
        env = {"PATH": SYSTEM_PATH, "HOME": "/nonexistent", "LANG": "C.UTF-8"}
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, timeout=300, check=False)
        self._write(command, done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), 0.0)
        return done.returncode

    def install(self, requirements: Sequence[str], *flags: str) -> None:
        """Install requirements: with the cut-off date, else without, else without those that cannot be had, else one
        by one."""
        wanted = [
            item for item in requirements if item.strip() and not item.lstrip().startswith(("#", "-e "))
        ]
        for mend in (readable, lambda lines: with_wheels(lines, self.spec.python)):
            wanted, changed = mend(wanted)
            for note in changed:
                self.note(note)
        # one that is fetched from a forge may be out of reach: it must not take the others along
        fetched = [item for item in wanted if _VCS.search(item)]
        if self._room is not None:
            self._room.allow(forge_hosts(wanted))
        wanted = [item for item in wanted if item not in fetched]
        listing = self.directory / "inputs" / "requirements.txt"
        target = [*flags, "-r", str(listing)]
        while wanted:
            listing.write_text("\n".join(wanted) + "\n")
            if self.pip_until(target):
                wanted = []
            elif (culprit := culprit_of(self.last, wanted)) is None:
                break
            else:  # the others still belong together
                self._install_apart(culprit, listing, target)
                wanted = [item for item in wanted if item != culprit]
        for item in [*wanted, *fetched]:
            listing.write_text(item + "\n")
            done = self._pip(target, None) == 0 if item in fetched else self.pip_until(target)
            if not done:
                self.notes.append(f"not installed: {item}")

    def _install_apart(self, item: str, listing: Path, target: Sequence[str]) -> None:
        """Build one with the environment's own setuptools, as pip did before build isolation; else do without."""
        listing.write_text(item + "\n")
        if self._pip([*target, "--no-build-isolation", "--no-deps"], self.cutoff) != 0:
            self.notes.append(f"not installed: {item}")
            self._constraints = [pin for pin in self._constraints if name_of(item) != name_of(pin)]

    def pip_until(self, *targets: Sequence[str]) -> bool:
        """Install the first of `targets` that can be, by the dates of `until`; for each date with the pins of the
        specification, else without them."""

        def attempt(date: str | None) -> bool:
            if pins := self._pins():
                if any(self._pip([*target, *pins], date) == 0 for target in targets):
                    return True
                if all(self._pip(target, date) != 0 for target in targets):
                    return False
                self.note("the pins of the specification do not hold in every step")
                return True
            return any(self._pip(target, date) == 0 for target in targets)

        return self.until(attempt)

    def _pins(self) -> list[str]:
        """Flags that hold the specification's pins in steps that do not name them."""
        if not self._constraints:
            return []
        path = self.directory / "inputs" / "constraints.txt"
        path.write_text("\n".join(self._constraints) + "\n")
        return ["-c", str(path)]

    def _build_pins(self) -> list[str]:
        """Flags for uv: isolated builds keep to the pinned build tools, to which no cut-off date applies."""
        tools = [pin for pin in self._constraints if name_of(pin) in _BUILD_TOOLS]
        if not tools:
            return []
        path = self.directory / "inputs" / "build-constraints.txt"
        path.write_text("\n".join(tools) + "\n")
        return ["--build-constraints", str(path)]

    def until(self, attempt: Callable[[str | None], bool]) -> bool:
        """Try with the cut-off date; else with those of `other_dates`; else with none. What was needed is noted."""
        for date in dict.fromkeys([self.cutoff, *self.other_dates, None]):
            if attempt(date):
                if date is not None and self.cutoff is not None and date < self.cutoff:
                    self.note(f"some packages are of {date}, the time of the commit")
                elif date != self.cutoff:
                    self.note(
                        f"some packages are later than {self.cutoff}" + (f" (until {date})" if date else "")
                    )
                return True
        return False

    def note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _pip(self, target: Sequence[str], date: str | None) -> int:
        python = str(self.venv / "bin/python")
        if self.uv is None:
            return self.run([python, "-m", "pip", "install", "-q", "--compile", *target], date)
        command = [self.uv, "pip", "install", "-q", "--python", python, *self._build_pins()]
        command += ["--index-strategy", "unsafe-best-match"]
        if self.interpreter.release >= (3, 7):
            return self.run([*command, "--compile-bytecode", *target], date)
        code = self.run([*command, *target], date)  # uv's compiler does not run on 3.6: its own does
        if code == 0:
            self.run([python, "-m", "compileall", "-q", str(self.venv / "lib")])
        return code

    def run(self, command: Sequence[str], date: str | None = None) -> int:
        """Run a command in the room; packages uploaded after `date` are not there for it.
        Raises: ProjectError when the index cannot be reached or the disk limit is hit."""
        assert self._room is not None, "an installer runs in its room"
        started = time.monotonic()
        done = self._room.run(command, env=self.env, cwd=PurePosixPath(self.workdir), until=date)
        self._write(command, done.exit_code, done.output, time.monotonic() - started)
        self.last = done.output
        return done.exit_code

    def _write(self, command: Sequence[str], code: int, output: str, seconds: float) -> None:
        with self._log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"\n$ {' '.join(command)}\n{output}\n({seconds:.1f} s, exit {code})\n")

    def fail(self, what: str) -> NoReturn:
        """Raises: ProjectError with the last error of the log."""
        lines = [
            line.strip() for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()
        ]
        errors = [line for line in lines if _ERROR.match(line) and not _SAYS_NOTHING.match(line)]
        why = errors[-1] if errors else " / ".join(lines[-3:])
        raise ProjectError(f"{what}: {why[:400]}; the whole log is {self._log}")
