"""Build: the steps of building one environment, what they said, and the room they run in."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import ProjectError
from .identity import build_identity
from .installer import Installer, last_lines
from .manifest import Manifest
from .requirements import Requirements
from .resolve import declared_dependencies, requirement_inputs
from .room import BuildOutcome, BuildRoom, RoomSpec
from .spec import Inference

_FORMAT = 3
_FLAT_LAYOUT = "discovered in a flat-layout"
"""setuptools refuses to guess among several top-level packages or modules."""


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
    left_s: Callable[[], float | None] = lambda: None
    """Seconds that the build may still take; None: no limit."""
    notes: list[Inference] = field(default_factory=list[Inference])

    def key(self) -> str:
        """Hash of everything that decides the result."""
        place = "plain" if self.sandbox_kind == "plain" else str(self.root)
        parts = [
            str(_FORMAT), self.interpreter, place, self.setup or "", self.exclude_newer or "",
            str(self.needs_pytest), str(self.requirements.install_repository), *self.requirements.names,
            *(f"extra:{e}" for e in self.requirements.extras),
            *requirement_inputs(self.manifest, self.requirements),
            build_identity(self.manifest, runs_tree=self.setup is not None or bool(self.requirements.nested)),
        ]  # fmt: skip
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Build:
    """One build. The host makes the empty environment; all that follows happens in its room."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.log: list[str] = []
        self.notes: list[Inference] = []
        self.installer = plan.installer_of(folder / "venv")
        self._room: BuildRoom | None = None

    @property
    def room(self) -> BuildRoom:
        assert self._room is not None, "a build runs in its room"
        return self._room

    @contextlib.contextmanager
    def in_room(self, hosts: tuple[str, ...] | None) -> Iterator[BuildRoom]:
        """Open the room; `hosts` are what may be reached besides the index (None: every public host)."""
        uv = self.installer.uv_in_sandbox
        interpreter = self.installer.interpreter
        spec = RoomSpec(
            self.plan.repository,
            interpreter.path,
            (self.installer.target,),
            read_only=(*interpreter.outside_usr, *([uv.parent] if uv else [])),
            cache=self.installer.cache,
            root=self.plan.root,
            sandbox=self.plan.sandbox_kind,
            hosts=hosts,
            left_s=self.plan.left_s,
        )
        with BuildRoom(spec) as room:
            self._room = room
            if not room.walls:
                self.say("NO WALLS: what is installed runs as you, with your files and your network")
            yield room
        self._room = None

    def say(self, line: str) -> None:
        self.log.append(line)
        self.plan.on_line(line)

    def note(self, what: str, value: str, why: str) -> None:
        self.notes.append(Inference(what, value, why, "--setup"))
        self.say(f"{what}: {value} ({why})")

    def wheels(self, requirements: list[str]) -> bool:
        """Install requirements from wheels alone, which runs none of their code; whether that was enough."""
        if not requirements:
            return True
        self.say(f"installing {len(requirements)} requirements with {self.installer.name}")
        listing = self._write("requirements.txt", requirements)
        arguments = ["-r", listing, "--only-binary", ":all:"]
        done = self.in_sandbox(self.installer.sandbox_command(arguments), quiet=True)
        if not done.ok and self.installer.constraints:
            self.installer.constraints = ""
            self.say("the locked versions do not go together here; resolving without them")
            done = self.in_sandbox(self.installer.sandbox_command(arguments), quiet=True)
        return done.ok

    def constrain(self, locked: list[str]) -> None:
        """Stay with the versions of the repository's lock file where that is possible."""
        if not locked:
            return
        self.installer.constraints = self._write("constraints.txt", locked)
        self.note("versions", f"{len(locked)} pinned", "the repository's lock file")

    def _write(self, name: str, lines: list[str]) -> str:
        path = self.room.sandbox.temporary / name
        self.room.sandbox.write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
        return str(path)

    def in_sandbox(self, command: str, *, quiet: bool = False) -> BuildOutcome:
        self.log.append(f"$ {command}")
        if not quiet:
            self.plan.on_line(f"$ {self.installer.shown(command)}")
        done = self.room.run(command, env=self.installer.activation(), until=self.plan.exclude_newer)
        self.log.append(done.output)
        return done


def install_each(build: Build, requirements: list[str]) -> None:
    """All at once; when that fails one by one, so that a single bad requirement does not spoil the rest."""
    if not requirements:
        return
    together = build.in_sandbox(build.installer.sandbox_command(_arguments(requirements)))
    if together.ok:
        return
    for requirement in requirements:
        done = together
        if len(requirements) > 1:
            done = build.in_sandbox(build.installer.sandbox_command(_arguments([requirement])))
        if not done.ok:
            build.note("not installed", requirement, last_lines(done.output, 2))


def _arguments(requirements: list[str]) -> list[str]:
    return [word for line in requirements for word in (shlex.split(line) if line[:1] == "-" else [line])]


def install_nested(build: Build) -> None:
    """Install the projects below the root editable: in one go, for they may need one another."""
    compat = _compat(build)
    nested = build.plan.requirements.nested
    lines = [["-e", f"./{project}"] for project in nested]
    words = [word for line in lines for word in line]
    together = build.in_sandbox(build.installer.sandbox_command([*words, *compat]))
    if together.ok:
        return
    for project, line in zip(nested, lines, strict=True):
        done = together
        if len(lines) > 1:
            done = build.in_sandbox(build.installer.sandbox_command([*line, *compat]))
        if not done.ok:
            build.note("not installed", project, last_lines(done.output, 2))


def _compat(build: Build) -> list[str]:
    """Path entries rather than import hooks: tools that look at sys.path, like linters and doc builders, see
    nothing through hooks."""
    return ["--config-setting" if build.installer.uv else "--config-settings", "editable_mode=compat"]


def install_repository(build: Build) -> bool:
    """Install the repository editable; whether it is installed. Raises: ProjectError."""
    described = any(build.plan.manifest.has(name) for name in ("pyproject.toml", "setup.py"))
    if described:
        return _install_editable(build)
    # setup.cfg alone: setuptools reads it, but no installer starts from it.
    sandbox = build.room.sandbox
    sandbox.write_bytes(
        "pyproject.toml",
        b'[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n',
    )
    try:
        return _install_editable(build)
    finally:
        sandbox.exec(["rm", "-f", str(sandbox.root / "pyproject.toml")])


def _install_editable(build: Build) -> bool:
    extras = f"[{','.join(build.plan.requirements.extras)}]" if build.plan.requirements.extras else ""
    compat = _compat(build)
    attempts = [
        ["-e", f".{extras}", *compat],
        ["-e", f".{extras}"],
        *([["-e", ".", *compat]] if extras else []),
    ]
    first = ""
    for arguments in attempts:
        done = build.in_sandbox(build.installer.sandbox_command(arguments))
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
        install_each(build, declared_dependencies(manifest))
        return False
    if build.in_sandbox(build.installer.sandbox_command(["-e", ".", "--no-deps", *compat])).ok:
        build.note("dependencies", "one by one", last_lines(first, 2))
        install_each(build, declared_dependencies(manifest))
        return True
    # A build backend older than PEP 660 (setuptools < 64 by a pin) has no editable wheels.
    build.wheels(["setuptools<81", "wheel", *_build_requires(manifest)])
    done = build.in_sandbox(build.installer.sandbox_command(["--no-build-isolation", "-e", f".{extras}"]))
    if not done.ok and manifest.has("setup.py"):
        done = build.in_sandbox(f"{shlex.quote(str(build.installer.python))} setup.py develop --no-deps")
    if not done.ok:
        raise ProjectError(
            f"the repository cannot be installed: {last_lines(first)}; "
            "say how with --setup (a shell command), or name another interpreter with --python"
        )
    return True


def _build_requires(manifest: Manifest) -> list[str]:
    requires = manifest.toml("build-system", "requires")
    return [r for r in requires if isinstance(r, str) and "@" not in r] if isinstance(requires, list) else []
