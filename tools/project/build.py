"""Build: the steps of building one environment, what they said, and the sandbox they run in."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import ProjectError
from ..sandbox import Limits, Sandbox, SandboxSpec, open_sandbox
from .installer import INSTALL_TIMEOUT_S, Installer, Outcome, last_lines
from .manifest import Manifest
from .requirements import Requirements
from .resolve import declared_dependencies, requirement_inputs
from .spec import Inference

_FORMAT = 2
_FLAT_LAYOUT = "discovered in a flat-layout"
"""setuptools refuses to guess among several top-level packages or modules."""
_LIMITS = Limits(
    wall_s=INSTALL_TIMEOUT_S, memory_bytes=None, cpu_s=None, processes=4096, file_bytes=None, disk_bytes=None
)


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


class Build:
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
        self.log.append(f"$ {command}")
        self.plan.on_line(f"$ {self.installer.shown(command)}")
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


def install_each(build: Build, sandbox: Sandbox, requirements: list[str]) -> None:
    """All at once; when that fails one by one, so that a single bad requirement does not spoil the rest."""
    if not requirements:
        return
    together = build.in_sandbox(sandbox, build.installer.sandbox_command(_arguments(requirements)))
    if together.ok:
        return
    for requirement in requirements:
        done = together
        if len(requirements) > 1:
            done = build.in_sandbox(sandbox, build.installer.sandbox_command(_arguments([requirement])))
        if not done.ok:
            build.note("not installed", requirement, last_lines(done.output, 2))


def _arguments(requirements: list[str]) -> list[str]:
    return [word for line in requirements for word in (shlex.split(line) if line[:1] == "-" else [line])]


def install_nested(build: Build, sandbox: Sandbox) -> None:
    """Install the projects below the root editable: in one go, for they may need one another."""
    compat = _compat(build)
    nested = build.plan.requirements.nested
    lines = [["-e", f"./{project}"] for project in nested]
    words = [word for line in lines for word in line]
    together = build.in_sandbox(sandbox, build.installer.sandbox_command([*words, *compat]))
    if together.ok:
        return
    for project, line in zip(nested, lines, strict=True):
        done = together
        if len(lines) > 1:
            done = build.in_sandbox(sandbox, build.installer.sandbox_command([*line, *compat]))
        if not done.ok:
            build.note("not installed", project, last_lines(done.output, 2))


def _compat(build: Build) -> list[str]:
    """Path entries rather than import hooks: tools that look at sys.path, like linters and doc builders, see
    nothing through hooks."""
    return ["--config-setting" if build.installer.uv else "--config-settings", "editable_mode=compat"]


def install_repository(build: Build, sandbox: Sandbox) -> bool:
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


def _install_editable(build: Build, sandbox: Sandbox) -> bool:
    extras = f"[{','.join(build.plan.requirements.extras)}]" if build.plan.requirements.extras else ""
    compat = _compat(build)
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
    manifest = build.plan.manifest
    if _FLAT_LAYOUT in first:
        # Its authors cannot install it either: they run the tests in the checkout.
        why = next(line for line in first.splitlines() if _FLAT_LAYOUT in line)
        build.note("not installed", "the repository; imported from its folders", last_lines(why))
        install_each(build, sandbox, declared_dependencies(manifest))
        return False
    if build.in_sandbox(sandbox, build.installer.sandbox_command(["-e", ".", "--no-deps", *compat])).ok:
        build.note("dependencies", "one by one", last_lines(first, 2))
        install_each(build, sandbox, declared_dependencies(manifest))
        return True
    # A build backend older than PEP 660 (setuptools < 64 by a pin) has no editable wheels.
    build.wheels(["setuptools<81", "wheel", *_build_requires(manifest)])
    done = build.in_sandbox(
        sandbox, build.installer.sandbox_command(["--no-build-isolation", "-e", f".{extras}"])
    )
    if not done.ok and manifest.has("setup.py"):
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
