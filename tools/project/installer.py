"""Installer: virtual environments and packages, through uv where it exists, else through pip.

Wheels alone are installed on the host (no code of a package runs then). Whatever may run code, which is
the repository itself, source distributions and --setup, is given as a command for the build sandbox.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import ProjectError
from .interpreters import Interpreter

_PASSED = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_DEFAULT_TIMEOUT",
)  # fmt: skip
_PASSED_URLS = (
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy",
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL",
)  # fmt: skip
INSTALL_TIMEOUT_S = 1500.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one installer command did."""

    ok: bool
    output: str


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


def index_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Certificates, proxies and package indexes of the host for code that is not trusted: an address
    with a user name or a password in it is left out."""
    env = {name: environ[name] for name in _PASSED if environ.get(name)}
    for name in _PASSED_URLS:
        value = environ.get(name, "")
        if value and not any(urlsplit(word).username or urlsplit(word).password for word in value.split()):
            env[name] = value
    env.setdefault("NO_PROXY", environ.get("NO_PROXY", environ.get("no_proxy", "")))
    return _for_uv({k: v for k, v in env.items() if v})


def _for_uv(env: dict[str, str]) -> dict[str, str]:
    """uv does not read pip's index variables: hand them on under its own names."""
    for pip, names in (
        ("PIP_INDEX_URL", ("UV_DEFAULT_INDEX", "UV_INDEX_URL")),
        ("PIP_EXTRA_INDEX_URL", ("UV_INDEX", "UV_EXTRA_INDEX_URL")),
    ):
        if pip in env and not any(name in env for name in names):
            env[names[0]] = env[pip]
    return env


class Installer:
    """Builds one virtual environment at `target`."""

    def __init__(
        self,
        interpreter: Interpreter,
        target: Path,
        *,
        cache: Path,
        exclude_newer: str | None = None,
        uv: Path | None,
    ) -> None:
        self.interpreter = interpreter
        self.target = target
        self.cache = cache
        self.exclude_newer = exclude_newer
        # uv cannot look into an interpreter older than 3.7.
        self.uv = uv if interpreter.minor >= (3, 7) else None
        self.python = target / "bin" / "python"
        self.constraints: Path | None = None
        """Versions to stay with (requirements format); set while they can be satisfied."""

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

    def _bootstrap_pip(self) -> Outcome:
        """Put the pip that this program runs with into the environment, offline and without ensurepip."""
        spec = importlib.util.find_spec("pip")
        if spec is None or not spec.submodule_search_locations:
            return Outcome(False, "neither uv nor pip is installed")
        source = Path(next(iter(spec.submodule_search_locations)))
        major, minor = self.interpreter.minor
        site = self.target / "lib" / f"python{major}.{minor}" / "site-packages"
        shutil.copytree(
            source, site / "pip", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
        for info in source.parent.glob("pip-*.dist-info"):
            shutil.copytree(info, site / info.name, dirs_exist_ok=True)
        check = self._host([str(self.python), "-m", "pip", "--version"])
        if not check.ok:
            shutil.rmtree(site / "pip", ignore_errors=True)
        return check

    def install_wheels(self, requirements: Sequence[str]) -> Outcome:
        """Install requirements on the host from wheels only; nothing of theirs is executed."""
        if not requirements:
            return Outcome(True, "")
        with tempfile.TemporaryDirectory(prefix="swe-agent-") as folder:
            listed = Path(folder) / "requirements.txt"
            listed.write_text("\n".join(requirements) + "\n")
            arguments = ["-r", str(listed), "--only-binary", ":all:"]
            done = self._host([*self._install(str(self.uv)), *arguments], cwd=Path(folder))
            if not done.ok and self.uv and _looks_offline(done.output):
                retry = self._host([*self._install(str(self.uv)), "--offline", *arguments], cwd=Path(folder))
                done = retry if retry.ok else done
        return done

    def _install(self, uv: str) -> list[str]:
        if self.uv:
            dated = ["--exclude-newer", self.exclude_newer] if self.exclude_newer else []
            return [uv, "pip", "install", "--python", str(self.python), *dated, *self._constrained]
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        return [*pip, *self._constrained]

    @property
    def _constrained(self) -> list[str]:
        return ["-c", str(self.constraints)] if self.constraints else []

    def sandbox_command(self, arguments: Sequence[str]) -> str:
        """Shell command that installs `arguments` inside the build sandbox."""
        return shlex.join([*self._install(str(self.uv_in_sandbox)), *arguments])

    def shown(self, command: str) -> str:
        """A command of ours as people would type it."""
        for long, short in ((f"{self.uv_in_sandbox} pip", "uv pip"), (f"{self.python} -m pip", "pip")):
            command = command.replace(long, short)
        return command.replace(f" --python {self.python}", "")

    @property
    def uv_in_sandbox(self) -> Path | None:
        """uv where the sandbox can see it: a copy of its own, so that nothing beside it is shown."""
        if self.uv is None:
            return None
        stat = self.uv.stat()
        copy = self.cache / "tools" / f"uv-{stat.st_size}-{int(stat.st_mtime)}" / "uv"
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            partial = copy.with_name(f"uv.{os.getpid()}")
            shutil.copy2(self.uv, partial)
            partial.replace(copy)
        return copy

    def sandbox_environment(self, private: Path) -> dict[str, str]:
        """Environment of the build sandbox. Its package cache is `private`: a shared one could be
        poisoned by the code that runs there."""
        env = index_environment(os.environ)
        env.update(self.activation())
        env.update(
            UV_CACHE_DIR=str(private / "uv"),
            PIP_CACHE_DIR=str(private / "pip"),
            TMPDIR=str(private / "tmp"),
            UV_NO_PROGRESS="1",
            UV_LINK_MODE="copy",
            PIP_DISABLE_PIP_VERSION_CHECK="1",
            PIP_NO_INPUT="1",
        )
        if self.exclude_newer:
            env["UV_EXCLUDE_NEWER"] = self.exclude_newer
        return env

    def activation(self) -> dict[str, str]:
        """What an activated environment sets."""
        from ..sandbox.environment import SYSTEM_PATH

        return {"PATH": f"{self.target / 'bin'}:{SYSTEM_PATH}", "VIRTUAL_ENV": str(self.target)}

    def _host(self, argv: Sequence[str], cwd: Path | None = None) -> Outcome:
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        env |= {
            "UV_NO_PROGRESS": "1",
            "UV_CACHE_DIR": str(self.cache / "uv"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        env = _for_uv(env)
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
            return Outcome(False, f"{shlex.join(argv[:3])} took longer than {INSTALL_TIMEOUT_S:.0f} s")
        except OSError as error:
            return Outcome(False, f"{argv[0]}: {error.strerror}")
        return Outcome(done.returncode == 0, done.stdout + done.stderr)


def _looks_offline(output: str) -> bool:
    words = ("dns error", "error sending request", "Connection refused", "Network is unreachable", "Failed to fetch",
             "Temporary failure in name resolution", "Could not connect", "Max retries exceeded", "NewConnectionError",
             "tunnel error", "client error (Connect)")  # fmt: skip
    return any(word in output for word in words)


def last_lines(output: str, count: int = 6) -> str:
    """The last lines that say something, joined into one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("hint:")] or lines
    return " | ".join(lines[-count:])[-900:] or "no output"
