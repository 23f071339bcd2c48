"""Interpreters: which Pythons this machine has, and which of them a repository wants."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..errors import ProjectError
from .manifest import Manifest, strings
from .spec import Inference

_PROBE = (
    "import json,sys,platform;print(json.dumps([platform.python_version(),sys.executable,"
    "sys.base_prefix,sys.base_exec_prefix,platform.python_implementation()]))"
)
OLDEST = Version("3.6")
OFFLINE = (3, 8)
"""Oldest minor version that the offline repair engine runs on."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An installed CPython or PyPy that is not inside a virtual environment."""

    path: Path
    """Executable, links resolved."""
    version: str
    prefixes: tuple[Path, ...]
    """Installation folders that commands need to see."""
    implementation: str = "CPython"

    @property
    def minor(self) -> tuple[int, int]:
        release = Version(self.version).release
        return release[0], release[1]

    @property
    def short(self) -> str:
        """`3.11`."""
        return "{}.{}".format(*self.minor)

    @property
    def release(self) -> tuple[int, int, int]:
        major, minor, micro = (*Version(self.version).release, 0, 0)[:3]
        return major, minor, micro

    @property
    def prefix(self) -> Path:
        """Installation directory, which a sandbox must show."""
        return self.prefixes[0]

    @property
    def outside_usr(self) -> tuple[Path, ...]:
        return tuple(p for p in self.prefixes if p != Path("/") and not p.is_relative_to("/usr"))


def probe(executable: Path) -> Interpreter | None:
    """Ask an executable what it is; None when it does not answer like Python 3.6 or newer."""
    try:
        done = subprocess.run(
            [str(executable), "-I", "-S", "-c", _PROBE],
            capture_output=True,
            timeout=20,
            text=True,
            env={"PATH": os.defpath},
            check=False,
        )
        version, _, prefix, exec_prefix, implementation = json.loads(done.stdout.strip().splitlines()[-1])
        if Version(version) < OLDEST:
            return None
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None
    base = _base_executable(executable, Path(prefix), version)
    return Interpreter(base, version, tuple(dict.fromkeys((Path(prefix), Path(exec_prefix)))), implementation)


def _base_executable(executable: Path, prefix: Path, version: str) -> Path:
    """The interpreter below a virtual environment's link, shim or wrapper."""
    major, minor = Version(version).release[:2]
    for name in (f"python{major}.{minor}", f"python{major}", "python"):
        candidate = prefix / "bin" / name
        if candidate.is_file():
            return candidate.resolve()
    return executable.resolve()


@cache
def installed() -> tuple[Interpreter, ...]:
    """Every Python found: the running one, pythonX.Y on PATH, pyenv's and uv's; newest first, one for
    each minor version."""
    found: dict[tuple[str, tuple[int, int]], Interpreter] = {}
    seen: set[Path] = set()
    for path in _candidates():
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):
            continue
        if real in seen or not os.access(real, os.X_OK):
            continue
        seen.add(real)
        interpreter = probe(path)
        if interpreter is not None:
            found.setdefault((interpreter.implementation, interpreter.minor), interpreter)
    return tuple(sorted(found.values(), key=lambda i: Version(i.version), reverse=True))


def _candidates() -> Iterable[Path]:
    yield Path(sys.executable)
    for minor in range(20, 5, -1):
        for folder in os.get_exec_path():
            path = Path(folder) / f"python3.{minor}"
            if path.is_file() and "shims" not in path.parts:
                yield path
    for home in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv", "/opt/pyenv"):
        if home:
            yield from sorted(Path(home).glob("versions/*/bin/python3"), reverse=True)
    uv_home = os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python"
    yield from sorted(Path(uv_home).glob("*/bin/python3"), reverse=True)
    for name in ("python3", "python"):
        found = shutil.which(name)
        if found and "shims" not in Path(found).parts:
            yield Path(found)


def choose(manifest: Manifest, wanted: str | None) -> tuple[Interpreter, list[Inference]]:
    """The interpreter for a repository: `wanted` (a version, a specifier or a path), else the one
    that .python-version names, else one that requires-python allows: the running one when classifiers or
    tox name it, the newest that is not newer than they name, the running one.

    Raises: ProjectError when none that is installed fits.
    """
    if wanted and ("/" in wanted or Path(wanted).is_file()):
        explicit = probe(Path(wanted).absolute())
        if explicit is None:
            raise ProjectError(
                f"--python {wanted} is not a Python 3.6+ interpreter; give a version or a path"
            )
        return explicit, [
            Inference("python", f"{explicit.version} ({explicit.path})", "--python", "--python")
        ]
    pythons = [i for i in installed() if i.implementation == "CPython"] or list(installed())
    if wanted:
        fitting = _matching(pythons, wanted)
        if not fitting:
            raise ProjectError(f"no installed Python matches --python {wanted}; here: {_names(pythons)}")
        return fitting[0], [_said(fitting[0], "--python")]
    pin = next((line.strip() for line in manifest.text(".python-version").splitlines() if line.strip()), "")
    if pin and (fitting := _matching(pythons, pin)):
        return fitting[0], [_said(fitting[0], f".python-version says {pin}")]
    required, source = requires_python(manifest)
    allowed = [i for i in pythons if required is None or required.contains(i.version, prereleases=True)]
    if not allowed:
        raise ProjectError(
            f"the repository needs Python {required} ({source}) and this machine has {_names(pythons)}; "
            "install one that fits or name another with --python"
        )
    reason = f"{source}: {required}" if required is not None else "nothing names a version"
    named = _named_versions(manifest)
    running = [i for i in allowed if i.minor == sys.version_info[:2]]
    if running and running[0].minor in named:
        return running[0], [_said(running[0], f"{reason}; the running version is among the named ones")]
    if named:
        newest = max(named)
        older = [i for i in allowed if i.minor <= max(newest, OFFLINE)]
        usable = [i for i in older if i.minor >= OFFLINE] or [i for i in allowed if i.minor >= OFFLINE][-1:]
        if fitting := usable or older:
            return fitting[0], [_said(fitting[0], f"{reason}; newest named version {newest[0]}.{newest[1]}")]
    chosen = running[0] if running else allowed[0]
    return chosen, [_said(chosen, reason)]


def requires_python(manifest: Manifest) -> tuple[SpecifierSet | None, str]:
    """The declared range and the file that declares it."""
    sources = (
        (manifest.toml("project", "requires-python"), "pyproject.toml requires-python"),
        (_caret(manifest.toml("tool", "poetry", "dependencies", "python")), "pyproject.toml poetry python"),
        (manifest.toml("tool", "flit", "metadata", "requires-python"), "pyproject.toml flit requires-python"),
        (manifest.cfg(manifest.setup_cfg, "options", "python_requires"), "setup.cfg python_requires"),
        (manifest.setup_arguments.get("python_requires"), "setup.py python_requires"),
    )
    for value, source in sources:
        if isinstance(value, str) and value.strip():
            try:
                return SpecifierSet(value.strip()), source
            except InvalidSpecifier:
                continue
    return None, ""


def _named_versions(manifest: Manifest) -> set[tuple[int, int]]:
    """Minor versions that classifiers name, else tox's environment list."""
    texts = [
        *strings(manifest.toml("project", "classifiers")),
        *strings(manifest.toml("tool", "poetry", "classifiers")),
        *strings(manifest.toml("tool", "flit", "metadata", "classifiers")),
        *manifest.cfg(manifest.setup_cfg, "metadata", "classifiers").splitlines(),
        *strings(manifest.setup_arguments.get("classifiers")),
        *strings(str(manifest.setup_arguments.get("classifiers") or "").splitlines()),
    ]
    pattern = r"Programming Language :: Python :: 3\.(\d+)\b"
    found = {(3, int(m[1])) for text in texts for m in re.finditer(pattern, text)}
    if found:
        return found
    envs = manifest.cfg(manifest.tox, "tox", "envlist") or manifest.cfg(manifest.tox, "tox", "env_list")
    spelled = re.sub(r"py\{([^}]*)\}", lambda m: ",".join(f"py{v.strip()}" for v in m[1].split(",")), envs)
    spelled += " " + " ".join(strings(manifest.toml("tool", "tox", "env_list")))
    return {(3, int(m[1])) for m in re.finditer(r"\bpy3\.?(\d{1,2})\b", spelled)}


def _caret(value: object) -> str | None:
    """Poetry's `^3.8` as a PEP 440 range."""
    if not isinstance(value, str):
        return None
    match = re.fullmatch(r"\s*\^\s*(\d+)((?:\.\d+)*)\s*", value)
    return f">={match[1]}{match[2]},<{int(match[1]) + 1}" if match else value


def _matching(pythons: list[Interpreter], wanted: str) -> list[Interpreter]:
    text = re.sub(r"^(cpython|python)-?@?", "", wanted.strip())
    try:
        version = Version(text)
    except InvalidVersion:
        try:
            return [i for i in pythons if SpecifierSet(text).contains(i.version, prereleases=True)]
        except InvalidSpecifier:
            return []
    exact = [i for i in pythons if i.version == str(version)]
    return exact or [i for i in pythons if i.minor == version.release[:2] or version.release == (i.minor[0],)]


def _said(interpreter: Interpreter, why: str) -> Inference:
    return Inference("python", f"{interpreter.version} ({interpreter.path})", why, "--python")


def _names(pythons: Iterable[Interpreter]) -> str:
    return ", ".join(i.version for i in pythons) or "none"
