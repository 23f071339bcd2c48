"""Builder: the steps that turn a checkout and a specification into an environment.

The adaptations of native builds: byte-compile (uv does not), setuptools editables as plain path entries
(`editable_mode=compat`), no build isolation where the pinned setuptools has no editable hook, wrappers
for tox's interpreter links, freezes without dependencies.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...tools.errors import ProjectError
from ...tools.sandbox import DEFAULT_ROOT
from .interpreter import Interpreter, uv_path
from .relocate import relocate
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
LATER = "2024-08-15"
"""Second cut-off date: when the specifications' newest pins were out. Older pins may need newer parts."""


class Builder:
    """Builds `directory/venv` and prepares `directory/testbed`."""

    def __init__(
        self,
        directory: Path,
        spec: EnvironmentSpec,
        interpreter: Interpreter,
        env: Mapping[str, str],
        cutoff: str | None,
    ) -> None:
        self.directory = directory
        self.testbed = directory / "testbed"
        self.venv = directory / "venv"
        self.spec = spec
        self.interpreter = interpreter
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
        self._uv = uv_path()
        self._log = directory / "build.log"

    def build(self, requirements: Sequence[str]) -> None:
        """Raises: ProjectError naming the step that failed and the log."""
        self._make_venv()
        if self.spec.freeze:
            self._install(self.spec.freeze.splitlines(), "--no-deps")
        self._install(requirements)
        self._install(self.spec.packages)
        self._install(self.spec.pip)
        for command in self.spec.pre_install:
            if self._run(["bash", "-c", command]) != 0:
                self.notes.append(f"a preparation step did nothing: {command}")
        self._install_project()
        relocate(self.venv, {str(self.testbed): str(DEFAULT_ROOT)})
        python = str(self.venv / "bin/python")
        quiet = "import compileall,sys;sys.setrecursionlimit(9999);compileall.compile_dir('.',quiet=2,maxlevels=30)"
        self._run([python, "-W", "ignore", "-c", quiet])

    def _make_venv(self) -> None:
        python = str(self.interpreter.path)
        if self._uv:
            command = [
                self._uv,
                "venv",
                "-q",
                "--seed",
                "--python",
                python,
                *self._cutoff_flags(self.cutoff),
                str(self.venv),
            ]
            if self._run(command) == 0:
                return
        if self._run([python, "-m", "venv", "--clear", str(self.venv)]) == 0:
            return
        # Debian's python3 has no ensurepip; this program brings a pip that installs into other environments
        bare = [python, "-m", "venv", "--without-pip", "--clear", str(self.venv)]
        into = [sys.executable, "-m", "pip", "--python", str(self.venv / "bin/python"), "install", "-q"]
        if self._run(bare) != 0 or self._run([*into, "pip", "setuptools", "wheel"]) != 0:
            self._fail("the virtual environment could not be made")

    def _install(self, requirements: Sequence[str], *flags: str) -> None:
        """Install requirements: with the cut-off date, else without, else one by one."""
        wanted = [
            item for item in requirements if item.strip() and not item.lstrip().startswith(("#", "-e "))
        ]
        if not wanted:
            return
        listing = self.directory / "requirements.txt"
        listing.write_text("\n".join(wanted) + "\n")
        target = [*flags, "-r", str(listing)]
        if self._pip_until(target):
            return
        for item in wanted:
            listing.write_text(item + "\n")
            if not self._pip_until(target):
                self.notes.append(f"not installed: {item}")

    def _install_project(self) -> None:
        extras = f"[{self.spec.extras}]" if self.spec.extras else ""
        plain = [] if self.spec.build_isolation else ["--no-build-isolation"]
        compat = ["--config-setting", "editable_mode=compat"]
        target = ["-e", f".{extras}"]
        if self._uv and self.spec.pep517:
            tries = [[*plain, *compat, *target], [*compat, "--no-build-isolation", *target]]
            if any(self._pip_until(flags) for flags in tries):
                return
        python = str(self.venv / "bin/python")
        legacy = [python, "-m", "pip", "install", "-q", "--no-build-isolation"]
        if self._run([*legacy, *target]) == 0:
            self.notes.append("installed by pip in place of uv")
        elif self._run([python, "setup.py", "-q", "develop", "--no-deps"]) == 0:
            self.notes.append("installed by setup.py develop, without its dependencies")
        elif self._run([*legacy, f".{extras}"]) == 0:
            self.notes.append("installed as a copy: an editable install failed")
        else:
            self._fail("the project could not be installed")

    def _pip_until(self, target: Sequence[str]) -> bool:
        """Install with the cut-off date, then with a later one, then with none; what was needed is noted."""
        dates = [self.cutoff, LATER if self.cutoff and self.cutoff < LATER else None, None]
        for date in dict.fromkeys(dates):
            if self._pip(target, date) == 0:
                if date != self.cutoff:
                    self._note(
                        f"some packages are later than {self.cutoff}" + (f" (until {date})" if date else "")
                    )
                return True
        return False

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _pip(self, target: Sequence[str], date: str | None) -> int:
        if self._uv is None:
            return self._run(
                [str(self.venv / "bin/python"), "-m", "pip", "install", "-q", "--compile", *target]
            )
        flags = self._cutoff_flags(date)
        command = [
            self._uv,
            "pip",
            "install",
            "-q",
            "--compile-bytecode",
            "--python",
            str(self.venv / "bin/python"),
        ]
        return self._run([*command, "--index-strategy", "unsafe-best-match", *flags, *target])

    def _cutoff_flags(self, date: str | None) -> list[str]:
        if not date:
            return []
        flags = ["--exclude-newer", date]
        for name in self.spec.pinned:
            flags += ["--exclude-newer-package", f"{name}=2100-01-01"]
        return flags

    def _run(self, command: Sequence[str]) -> int:
        with self._log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            try:
                done = subprocess.run(
                    command,
                    cwd=self.testbed,
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=_TIMEOUT_S,
                )
            except subprocess.TimeoutExpired:
                log.write(f"\n(killed after {_TIMEOUT_S} s)\n".encode())
                return 124
            except OSError as error:
                log.write(f"{error}\n".encode())
                return 127
            return done.returncode

    def _fail(self, what: str) -> None:
        tail = self._log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        raise ProjectError(f"{what}: {' / '.join(tail)[:500]}; the whole log is {self._log}")
