"""Installer: commands that put packages into one virtual environment, logged, against a cut-off date."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import NoReturn

from ...tools.errors import ProjectError
from ...tools.processes import run_kept
from .constraints import constraints_of, with_wheels
from .interpreter import Interpreter, uv_path
from .spec import EnvironmentSpec

_PASSED_ON = (
    "HOME",
    "USER",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CC",
    "CXX",
    "CFLAGS",
    "LDFLAGS",
    "XDG_CACHE_HOME",
)
_PREFIXES = ("UV_", "PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_TIMEOUT_S = 1800
_VCS = re.compile(r"(^|@\s*)(git|hg|svn|bzr)\+")
_ERROR = re.compile(r"(\w+\.)*\w*(Error|Exception): |fatal: ")
_UNREACHABLE = re.compile(r"error sending request for url \((\S*/simple/)")
"""An index that is down says nothing about a package: an environment without it must not be kept."""
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
    """Installs into `directory/venv`; what it ran is in `directory/build.log`."""

    def __init__(
        self,
        directory: Path,
        spec: EnvironmentSpec,
        env: Mapping[str, str],
        cutoff: str | None,
    ) -> None:
        self.directory = directory
        self.workdir = directory
        self.venv = directory / "venv"
        self.spec = spec
        self.cutoff = cutoff
        self.notes: list[str] = []
        self.env = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED_ON or name.startswith(_PREFIXES)
        }
        # the host's PATH reaches the compilers; the environment's own programs come first
        self.env |= {
            **env,
            "PATH": f"{self.venv}/bin:{os.environ.get('PATH', '')}",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CEILING_DIRECTORIES": str(directory),
        }
        self.uv = uv_path()
        self._constraints = constraints_of(spec)
        self._log = directory / LOG

    def make_venv(self, interpreter: Interpreter) -> None:
        """Raises: ProjectError when there is no way to make one."""
        python = str(interpreter.path)
        if self.uv:
            command = [
                self.uv,
                "venv",
                "-q",
                "--seed",
                "--python",
                python,
                *self._cutoff_flags(self.cutoff),
                str(self.venv),
            ]
            if self.run(command) == 0:
                return
        if self.run([python, "-m", "venv", "--clear", str(self.venv)]) == 0:
            return
        # Debian's python3 has no ensurepip; this program brings a pip that installs into other environments
        bare = [python, "-m", "venv", "--without-pip", "--clear", str(self.venv)]
        into = [sys.executable, "-m", "pip", "--python", str(self.venv / "bin/python"), "install", "-q"]
        if self.run(bare) != 0 or self.run([*into, "pip", "setuptools", "wheel"]) != 0:
            self.fail("the virtual environment could not be made")

    def install(self, requirements: Sequence[str], *flags: str) -> None:
        """Install requirements: with the cut-off date, else without, else one by one."""
        wanted = [
            item for item in requirements if item.strip() and not item.lstrip().startswith(("#", "-e "))
        ]
        wanted, replaced = with_wheels(wanted, self.spec.python)
        self.notes += [note for note in replaced if note not in self.notes]
        # one that is fetched from a forge may be out of reach: it must not take the others along
        fetched = [item for item in wanted if _VCS.search(item)]
        wanted = [item for item in wanted if item not in fetched]
        listing = self.directory / "requirements.txt"
        target = [*flags, "-r", str(listing)]
        listing.write_text("\n".join(wanted) + "\n")
        if not wanted or self.pip_until(target):
            wanted = []
        for item in [*wanted, *fetched]:
            listing.write_text(item + "\n")
            done = self._pip(target, None) == 0 if item in fetched else self.pip_until(target)
            if not done:
                self.notes.append(f"not installed: {item}")

    def pip_until(self, *targets: Sequence[str]) -> bool:
        """Install the first of `targets` that can be, with the cut-off date; else with a later date; else with
        none. What was needed is noted."""
        dates = [self.cutoff, LATER if self.cutoff and self.cutoff < LATER else None, None]
        for date, pins in product(dict.fromkeys(dates), (True, False) if self._constraints else (False,)):
            if any(self._pip([*target, *self._pins(pins)], date) == 0 for target in targets):
                if self._constraints and not pins:
                    self.note("the pins of the specification do not hold in every step")
                if date != self.cutoff:
                    self.note(
                        f"some packages are later than {self.cutoff}" + (f" (until {date})" if date else "")
                    )
                return True
        return False

    def _pins(self, wanted: bool) -> list[str]:
        """Flags that hold the specification's pins in a step which does not name them."""
        if not wanted:
            return []
        path = self.directory / "constraints.txt"
        if not path.exists():
            path.write_text("\n".join(self._constraints) + "\n")
        return ["-c", str(path)]

    def note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _pip(self, target: Sequence[str], date: str | None) -> int:
        if self.uv is None:
            return self.run(
                [str(self.venv / "bin/python"), "-m", "pip", "install", "-q", "--compile", *target]
            )
        flags = self._cutoff_flags(date)
        command = [
            self.uv,
            "pip",
            "install",
            "-q",
            "--compile-bytecode",
            "--python",
            str(self.venv / "bin/python"),
        ]
        before = self._log.stat().st_size if self._log.exists() else 0
        code = self.run([*command, "--index-strategy", "unsafe-best-match", *flags, *target])
        if code != 0 and (
            found := _UNREACHABLE.search(self._log.read_bytes()[before:].decode("utf-8", "replace"))
        ):
            raise ProjectError(
                f"the package index cannot be reached ({found[1]}); the whole log is {self._log}"
            )
        return code

    def _cutoff_flags(self, date: str | None) -> list[str]:
        if not date:
            return []
        flags = ["--exclude-newer", date]
        for name in self.spec.pinned:
            flags += ["--exclude-newer-package", f"{name}=2100-01-01"]
        return flags

    def run(self, command: Sequence[str]) -> int:
        with self._log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            started = time.monotonic()
            try:
                code = run_kept(command, cwd=self.workdir, env=self.env, output=log, timeout=_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                log.write(f"\n(killed after {_TIMEOUT_S} s)\n".encode())
                return 124
            except OSError as error:
                log.write(f"{error}\n".encode())
                return 127
            log.seek(0, os.SEEK_END)
            log.write(f"({time.monotonic() - started:.1f} s, exit {code})\n".encode())
            return code

    def fail(self, what: str) -> NoReturn:
        """Raises: ProjectError with the last error of the log."""
        lines = [
            line.strip() for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()
        ]
        errors = [line for line in lines if _ERROR.match(line) and "subprocess-exited" not in line]
        why = errors[-1] if errors else " / ".join(lines[-3:])
        raise ProjectError(f"{what}: {why[:400]}; the whole log is {self._log}")
