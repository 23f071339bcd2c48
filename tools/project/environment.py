"""Environment: one cached virtual environment per interpreter, requirements and place of the repository."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ProjectError
from ..sandbox import Limits, Sandbox, SandboxSpec, open_sandbox
from .installer import INSTALL_TIMEOUT_S, Installer, Outcome, last_lines
from .manifest import Manifest
from .requirements import Requirements
from .resolve import host_requirements, locked_versions, requirement_inputs
from .spec import Inference

_FORMAT = 1
_MARKER = "ready.json"
_ARTEFACTS = "artefacts.tar"
_LIMITS = Limits(
    wall_s=INSTALL_TIMEOUT_S, memory_bytes=None, cpu_s=None, processes=4096, file_bytes=None, disk_bytes=None
)
_OTHERS = (
    "git ls-files -z --others 2>/dev/null | tr '\\0' '\\n' | grep -v -e '__pycache__/' -e '\\.pyc$' | sort"
)


@dataclass(frozen=True, slots=True)
class Environment:
    """A finished environment of the cache."""

    folder: Path
    root: PurePosixPath
    """Where the repository was while it was installed."""
    installed: bool
    """Whether the repository itself is installed in it."""
    log: str = ""
    notes: tuple[Inference, ...] = ()

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def artefacts(self) -> Path | None:
        path = self.folder / _ARTEFACTS
        return path if path.exists() else None


@dataclass(slots=True)
class Plan:
    """What to build. `setup` replaces the automatic installation."""

    repository: Path
    manifest: Manifest
    requirements: Requirements
    installer_of: Callable[[Path], Installer]
    interpreter: str
    root: PurePosixPath
    sandbox_kind: str
    setup: str | None
    exclude_newer: str | None
    on_line: Callable[[str], None]
    needs_pytest: bool
    notes: list[Inference] = field(default_factory=list[Inference])

    def key(self) -> str:
        """Hash of everything that decides the result."""
        place = "plain" if self.sandbox_kind == "plain" else str(self.root)
        parts = [
            str(_FORMAT), self.interpreter, place, self.setup or "", self.exclude_newer or "",
            str(self.needs_pytest), str(self.requirements.install_repository), *self.requirements.names,
            *(f"extra:{e}" for e in self.requirements.extras),
            *requirement_inputs(self.manifest, self.requirements),
        ]  # fmt: skip
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def cached_environment(plan: Plan, cache: Path) -> Environment:
    """The environment of `plan`, built when the cache lacks it; safe for many processes at once.

    Raises: ProjectError when it cannot be built.
    """
    folder = cache / "environments" / plan.key()
    ready = _read(folder)
    if ready is not None:
        return ready
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock"), plan.on_line):
        ready = _read(folder)
        if ready is not None:
            return ready
        # No marker: a build that was cut off. A virtual environment cannot be moved, hence no rename.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return _build(plan, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _read(folder: Path) -> Environment | None:
    try:
        data: dict[str, Any] = json.loads((folder / _MARKER).read_text())
        if not (folder / "venv" / "bin" / "python").exists():
            return None
        notes = tuple(Inference(**note) for note in data["notes"])
        return Environment(folder, PurePosixPath(data["root"]), data["installed"], data["log"], notes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def _locked(path: Path, on_line: Callable[[str], None]) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_line("waiting for another process that builds the same environment")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Build:
    """One build: wheels on the host first, then everything that runs code, in a sandbox."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.log: list[str] = []
        self.notes: list[Inference] = []
        self.installer = plan.installer_of(folder / "venv")
        self.private = folder / "private"

    def say(self, line: str) -> None:
        self.log.append(line)
        self.plan.on_line(line)

    def note(self, what: str, value: str, why: str) -> None:
        self.notes.append(Inference(what, value, why, "--setup"))
        self.say(f"{what}: {value} ({why})")

    def wheels(self, requirements: list[str]) -> bool:
        if not requirements:
            return True
        self.say(f"installing {len(requirements)} requirements with {self.installer.name}")
        done = self.installer.install_wheels(requirements)
        self.log.append(done.output)
        if not done.ok and self.installer.constraints is not None:
            self.installer.constraints = None
            self.say("the locked versions do not go together here; resolving without them")
            done = self.installer.install_wheels(requirements)
            self.log.append(done.output)
        return done.ok

    def constrain(self, locked: list[str]) -> None:
        """Stay with the versions of the repository's lock file where that is possible."""
        if not locked:
            return
        path = self.folder / "constraints.txt"
        path.write_text("\n".join(locked) + "\n")
        self.installer.constraints = path
        self.note("versions", f"{len(locked)} pinned", "the repository's lock file")

    def in_sandbox(self, sandbox: Sandbox, command: str) -> Outcome:
        self.say(f"$ {command}")
        done = sandbox.exec(command, timeout=INSTALL_TIMEOUT_S)
        self.log.append(done.output)
        return Outcome(done.exit_code == 0, done.output)

    @contextlib.contextmanager
    def sandbox(self) -> Iterator[Sandbox]:
        """The build sandbox: the repository at its root, network on, the environment writable."""
        self.private.joinpath("tmp").mkdir(parents=True, exist_ok=True)
        uv = self.installer.uv_in_sandbox
        spec = SandboxSpec(
            source=self.plan.repository,
            scratch=self.folder / "scratch",
            root=self.plan.root,
            read_only=(*self.plan_prefixes, *([uv.parent] if uv else [])),
            writable=(self.folder,),
            env=self.installer.sandbox_environment(self.private),
            network=True,
            limits=_LIMITS,
        )
        with open_sandbox(self.plan.sandbox_kind, spec) as sandbox:
            yield sandbox

    @property
    def plan_prefixes(self) -> tuple[Path, ...]:
        return self.installer.interpreter.outside_usr


def _build(plan: Plan, folder: Path) -> Environment:
    build = _Build(plan, folder)
    build.say(f"creating an environment for Python {plan.interpreter.split()[0]} with {build.installer.name}")
    build.installer.create()
    root, installed = plan.root, False
    if plan.setup is not None:
        root = _run_setup(build, plan.setup)
        _ensure_pytest(build)
        installed = True
    else:
        wanted, deferred = host_requirements(plan.manifest, plan.requirements)
        build.constrain(locked_versions(plan.manifest))
        complete = build.wheels(wanted)
        if not complete:
            build.say("wheels alone do not do; resolving in the sandbox")
        if not complete or deferred or plan.requirements.install_repository:
            with build.sandbox() as sandbox:
                root = sandbox.root
                before = _others(sandbox)
                if not complete:
                    _install_each(build, sandbox, wanted)
                _install_each(build, sandbox, deferred)
                if plan.requirements.install_repository:
                    installed = _install_repository(build, sandbox)
                _keep_artefacts(build, sandbox, before)
        _ensure_pytest(build)
    shutil.rmtree(build.private, ignore_errors=True)
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    _compile(build)
    log = "\n".join(build.log)[-200_000:]
    marker = {
        "root": str(root),
        "installed": installed,
        "log": log,
        "notes": [{"what": n.what, "value": n.value, "why": n.why, "flag": n.flag} for n in build.notes],
    }
    partial = folder / f"{_MARKER}.{os.getpid()}"
    partial.write_text(json.dumps(marker))
    partial.replace(folder / _MARKER)
    return Environment(folder, root, installed, log, tuple(build.notes))


def _run_setup(build: _Build, setup: str) -> PurePosixPath:
    """Run --setup at the repository's root with the environment activated."""
    if build.installer.uv is not None:
        build.installer.install_wheels(["pip", "setuptools", "wheel"])
    with build.sandbox() as sandbox:
        before = _others(sandbox)
        done = build.in_sandbox(sandbox, setup)
        if not done.ok:
            raise ProjectError(
                f"--setup failed: {last_lines(done.output)}; mend the command given with --setup"
            )
        _keep_artefacts(build, sandbox, before)
        return sandbox.root


def _install_each(build: _Build, sandbox: Sandbox, requirements: list[str]) -> None:
    """All at once; when that fails one by one, so that a single bad requirement does not spoil the rest."""
    if not requirements:
        return
    command = build.installer.sandbox_command(_arguments(requirements))
    if build.in_sandbox(sandbox, command).ok:
        return
    for requirement in requirements:
        done = build.in_sandbox(sandbox, build.installer.sandbox_command(_arguments([requirement])))
        if not done.ok:
            build.note("not installed", requirement, last_lines(done.output, 2))


def _arguments(requirements: list[str]) -> list[str]:
    return [word for line in requirements for word in (shlex.split(line) if line[:1] == "-" else [line])]


def _install_repository(build: _Build, sandbox: Sandbox) -> bool:
    """Install the repository editable; whether it is installed. Raises: ProjectError."""
    described = any(build.plan.manifest.has(name) for name in ("pyproject.toml", "setup.py"))
    if described:
        return _install_editable(build, sandbox)
    # setup.cfg alone: setuptools reads it, but no installer starts from it.
    sandbox.write_bytes(
        "pyproject.toml",
        b'[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n',
    )
    try:
        return _install_editable(build, sandbox)
    finally:
        sandbox.exec(["rm", "-f", str(sandbox.root / "pyproject.toml")])


def _install_editable(build: _Build, sandbox: Sandbox) -> bool:
    """Path entries rather than import hooks (`editable_mode=compat`): tools that look at sys.path, like
    linters and doc builders, see nothing through hooks."""
    extras = f"[{','.join(build.plan.requirements.extras)}]" if build.plan.requirements.extras else ""
    compat = ["--config-setting" if build.installer.uv else "--config-settings", "editable_mode=compat"]
    attempts = [
        ["-e", f".{extras}", *compat],
        ["-e", f".{extras}"],
        *([["-e", ".", *compat]] if extras else []),
    ]
    first = ""
    for arguments in attempts:
        done = build.in_sandbox(sandbox, build.installer.sandbox_command(arguments))
        if done.ok:
            if extras and extras not in arguments[1]:
                build.note("not installed", f"extras {extras}", last_lines(first, 2))
            return True
        first = first or done.output
    # A build backend older than PEP 660 (setuptools < 64 by a pin) has no editable wheels.
    build.wheels(["setuptools<81", "wheel", *_build_requires(build.plan.manifest)])
    done = build.in_sandbox(
        sandbox, build.installer.sandbox_command(["--no-build-isolation", "-e", f".{extras}"])
    )
    if not done.ok and build.plan.manifest.has("setup.py"):
        done = build.in_sandbox(
            sandbox, f"{shlex.quote(str(build.installer.python))} setup.py develop --no-deps"
        )
    if not done.ok:
        raise ProjectError(
            f"the repository cannot be installed: {last_lines(first)}; "
            "say how with --setup (a shell command), or name another interpreter with --python"
        )
    return True


def _build_requires(manifest: Manifest) -> list[str]:
    requires = manifest.toml("build-system", "requires")
    return [r for r in requires if isinstance(r, str) and "@" not in r] if isinstance(requires, list) else []


def _ensure_pytest(build: _Build) -> None:
    if not build.plan.needs_pytest or _can_import(build.installer.python, "pytest"):
        return
    if not build.wheels(["pytest"]):
        raise ProjectError(
            f"pytest cannot be installed: {last_lines(chr(10).join(build.log))}; "
            "check the network, or say how to set up with --setup and --test-cmd"
        )


def _can_import(python: Path, module: str) -> bool:
    """Whether a top-level module is there, without importing it (that would run it on the host)."""
    sites = list((python.parent.parent / "lib").glob("python*/site-packages"))
    return any((site / module).is_dir() or (site / f"{module}.py").is_file() for site in sites) or any(
        next(site.glob(f"__editable__.{module}-*"), None) is not None for site in sites
    )


def _others(sandbox: Sandbox) -> set[str]:
    return set(sandbox.exec(_OTHERS).output.splitlines())


def _keep_artefacts(build: _Build, sandbox: Sandbox, before: set[str]) -> None:
    """Save untracked files that the installation wrote into the tree (a generated version file, a compiled
    extension): the sandbox's writes are lost with it and the editable install needs them."""
    made = sorted(_others(sandbox) - before)
    if not made:
        return
    target = shlex.quote(str(build.folder / _ARTEFACTS))
    command = f"tar --no-recursion -cf {target} --null --verbatim-files-from -T -"
    done = sandbox.exec(command, stdin="\0".join(made).encode("utf-8", "surrogateescape"))
    if done.exit_code != 0:
        raise ProjectError(f"the files that the installation made cannot be saved: {last_lines(done.output)}")
    build.say(f"the installation left {len(made)} files in the tree; each workspace gets them")


def _compile(build: _Build) -> None:
    """Compile to bytecode once: uv does not, and every first import in a fork would pay for it."""
    python, venv = build.installer.python, build.installer.target
    sites = [str(site) for site in (venv / "lib").glob("python*/site-packages")]
    if sites:
        import subprocess

        # `-I -S`: no .pth file of an installed package may run code on the host.
        subprocess.run(
            [str(python), "-I", "-S", "-m", "compileall", "-q", "-q", *sites],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=600,
            check=False,
        )
