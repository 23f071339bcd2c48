"""Installer: virtual environments and packages, through uv where it exists, else through pip.

The host makes the empty environment. From the first package on everything is a command for the build room:
what a package brings runs as soon as the environment's interpreter starts.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..errors import ProjectError
from .interpreters import Interpreter
from .room import BuildOutcome

INSTALL_TIMEOUT_S = 1500.0


def find_uv() -> Path | None:
    """The uv executable: on PATH, else the one of an importable `uv` package."""
    on_path = shutil.which("uv")
    if on_path:
        return Path(on_path).resolve()
    if importlib.util.find_spec("uv") is None:
        return None
    from uv import find_uv_bin  # an optional dependency

    try:
        return Path(find_uv_bin()).resolve()
    except FileNotFoundError:
        return None


def shown_uv(uv: Path, cache: Path) -> Path:
    """A copy of uv in a folder of its own, so that a sandbox is shown nothing beside it."""
    status = uv.stat()
    copy = cache / "tools" / f"uv-{status.st_size}-{int(status.st_mtime)}" / "uv"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(f"uv.{os.getpid()}")
        shutil.copy2(uv, partial)
        partial.replace(copy)
    return copy


def copy_own_pip(site: Path) -> bool:
    """Put the pip that this program runs with into `site`, offline and without ensurepip; whether there is one."""
    spec = importlib.util.find_spec("pip")
    if spec is None or not spec.submodule_search_locations:
        return False
    source = Path(next(iter(spec.submodule_search_locations)))
    shutil.copytree(source, site / "pip", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for info in source.parent.glob("pip-*.dist-info"):
        shutil.copytree(info, site / info.name, dirs_exist_ok=True)
    return True


class Installer:
    """Builds one virtual environment at `target`."""

    def __init__(
        self,
        interpreter: Interpreter,
        target: Path,
        *,
        cache: Path,
        uv: Path | None,
    ) -> None:
        self.interpreter = interpreter
        self.target = target
        self.cache = cache
        # uv cannot look into an interpreter older than 3.7.
        self.uv = uv if interpreter.minor >= (3, 7) else None
        self.python = target / "bin" / "python"
        self.constraints = ""
        """File in the sandbox with versions to stay with; set while they can be satisfied."""

    @property
    def name(self) -> str:
        return "uv" if self.uv else "pip"

    def create(self) -> None:
        """An empty environment; with pip in it when uv is absent. Raises: ProjectError."""
        base = str(self.interpreter.path)
        if self.uv:
            argv = [str(self.uv), "venv", "--quiet", "--no-project", "--python", base, str(self.target)]
            done = self._host(argv)
            if done.ok:
                return
            self.uv = None
        if self.interpreter.minor < (3, 9):
            # Our pip no longer runs on these; their own ensurepip brings one that does.
            done = self._host([base, "-m", "venv", str(self.target)])
        else:
            done = self._host([base, "-m", "venv", "--without-pip", str(self.target)])
            if done.ok and not (done := self._bootstrap_pip()).ok:
                shutil.rmtree(self.target, ignore_errors=True)
                retry = self._host([base, "-m", "venv", str(self.target)])
                done = retry if retry.ok else done
        if not done.ok:
            raise ProjectError(
                f"cannot create a virtual environment with {base}: {last_lines(done.output)}; "
                "install uv, or name another interpreter with --python"
            )

    def _bootstrap_pip(self) -> BuildOutcome:
        """Put the pip that this program runs with into the environment, offline and without ensurepip."""
        major, minor = self.interpreter.minor
        site = self.target / "lib" / f"python{major}.{minor}" / "site-packages"
        if not copy_own_pip(site):
            return BuildOutcome(1, "neither uv nor pip is installed")
        check = self._host([str(self.python), "-m", "pip", "--version"])
        if not check.ok:
            shutil.rmtree(site / "pip", ignore_errors=True)
        return check

    def _install(self) -> list[str]:
        if self.uv:
            uv = [str(self.uv_in_sandbox), "pip", "install", "--python", str(self.python)]
            return [*uv, "--index-strategy", "unsafe-best-match", *self._constrained]
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        return [*pip, *self._constrained]

    @property
    def _constrained(self) -> list[str]:
        return ["-c", self.constraints] if self.constraints else []

    def sandbox_command(self, arguments: Sequence[str]) -> str:
        """Shell command that installs `arguments` inside the build sandbox."""
        return shlex.join([*self._install(), *arguments])

    def shown(self, command: str) -> str:
        """A command of ours as people would type it."""
        for long, short in ((f"{self.uv_in_sandbox} pip", "uv pip"), (f"{self.python} -m pip", "pip")):
            command = command.replace(long, short)
        return command.replace(f" --python {self.python}", "")

    @property
    def uv_in_sandbox(self) -> Path | None:
        """uv where the sandbox can see it: a copy of its own, so that nothing beside it is shown."""
        return None if self.uv is None else shown_uv(self.uv, self.cache)

    def activation(self) -> dict[str, str]:
        """What an activated environment sets."""
        from ..sandbox.environment import SYSTEM_PATH

        return {"PATH": f"{self.target / 'bin'}:{SYSTEM_PATH}", "VIRTUAL_ENV": str(self.target)}

    def _host(self, argv: Sequence[str], cwd: Path | None = None) -> BuildOutcome:
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        try:
            done = subprocess.run(
                list(argv),
                capture_output=True,
                text=True,
                errors="replace",
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                timeout=INSTALL_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return BuildOutcome(1, f"{shlex.join(argv[:3])} took longer than {INSTALL_TIMEOUT_S:.0f} s")
        except OSError as error:
            return BuildOutcome(1, f"{argv[0]}: {error.strerror}")
        return BuildOutcome(done.returncode, done.stdout + done.stderr)


def last_lines(output: str, count: int = 6) -> str:
    """The last lines that say something, joined into one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("hint:")] or lines
    return " | ".join(lines[-count:])[-900:] or "no output"
