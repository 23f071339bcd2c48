"""Environment: one cached virtual environment per interpreter, requirements and place of the repository."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ProjectError
from ..files import locked, write_atomically
from ..sandbox import Sandbox
from .build import Build, Plan, install_each, install_nested, install_repository
from .installer import last_lines
from .resolve import forge_hosts, host_requirements, locked_versions
from .spec import Inference

_MARKER = "ready.json"
_ARTEFACTS = "artefacts.tar"
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


def cached_environment(plan: Plan, cache: Path) -> Environment:
    """The environment of `plan`, built when the cache lacks it; safe for many processes at once.

    Raises: ProjectError when it cannot be built.
    """
    folder = cache / "environments" / plan.key()
    ready = _read(folder)
    if ready is not None:
        return ready
    folder.parent.mkdir(parents=True, exist_ok=True)
    waiting = "waiting for another process that builds the same environment"
    with locked(folder.with_suffix(".lock"), lambda: plan.on_line(waiting)):
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


def _build(plan: Plan, folder: Path) -> Environment:
    build = Build(plan, folder)
    build.say(f"creating an environment for Python {plan.interpreter.split()[0]} with {build.installer.name}")
    build.installer.create()
    wanted, deferred = host_requirements(plan.manifest, plan.requirements)
    hosts = None if plan.setup is not None else forge_hosts(deferred)
    if hosts:
        build.note(
            "network", ", ".join(hosts), "requirements that lie there; nothing else but the index is reached"
        )
    with build.in_room(hosts) as room:
        before = _others(room.sandbox)
        if plan.setup is not None:
            installed = _run_setup(build, plan.setup)
        else:
            installed = _install(build, wanted, deferred)
        _keep_artefacts(build, before)
        _ensure_pytest(build)
        _compile(build)
        root = room.root
    log = "\n".join(build.log)[-200_000:]
    marker = {
        "root": str(root),
        "installed": installed,
        "log": log,
        "notes": [{"what": n.what, "value": n.value, "why": n.why, "flag": n.flag} for n in build.notes],
    }
    write_atomically(folder / _MARKER, json.dumps(marker))
    return Environment(folder, root, installed, log, tuple(build.notes))


def _install(build: Build, wanted: list[str], deferred: list[str]) -> bool:
    """Everything that was found to be needed; whether the repository itself is installed."""
    requirements = build.plan.requirements
    build.constrain(locked_versions(build.plan.manifest))
    if not build.wheels(wanted):
        build.say("wheels alone do not do; building from source")
        install_each(build, wanted)
    install_each(build, deferred)
    installed = install_repository(build) if requirements.install_repository else False
    if requirements.nested:
        install_nested(build)
    return installed


def _run_setup(build: Build, setup: str) -> bool:
    """Run --setup at the repository's root with the environment activated."""
    if build.installer.uv is not None:
        build.wheels(["pip", "setuptools", "wheel"])
    done = build.in_sandbox(setup)
    if not done.ok:
        raise ProjectError(f"--setup failed: {last_lines(done.output)}; mend the command given with --setup")
    return True


def _ensure_pytest(build: Build) -> None:
    if not build.plan.needs_pytest:
        return
    look = "import importlib.util as u, sys; sys.exit(u.find_spec('pytest') is None)"
    if build.room.sandbox.exec([str(build.installer.python), "-I", "-c", look]).exit_code == 0:
        return
    if not build.wheels(["pytest"]):
        raise ProjectError(
            f"pytest cannot be installed: {last_lines(chr(10).join(build.log))}; "
            "check the network, or say how to set up with --setup and --test-cmd"
        )


def _others(sandbox: Sandbox) -> set[str]:
    return set(sandbox.exec(_OTHERS).output.splitlines())


def _keep_artefacts(build: Build, before: set[str]) -> None:
    """Save untracked files that the installation wrote into the tree (a generated version file, a compiled
    extension): the room's writes are lost with it and the editable install needs them."""
    made = _others(build.room.sandbox) - before
    if not made:
        return
    write_atomically(build.folder / _ARTEFACTS, build.room.archive(made))
    build.say(f"the installation left {len(made)} files in the tree; each workspace gets them")


def _compile(build: Build) -> None:
    """Compile to bytecode once: uv does not, and every first import in a fork would pay for it."""
    installer = build.installer
    sites = f"{shlex.quote(str(installer.target))}/lib/*/site-packages"
    command = f"{shlex.quote(str(installer.python))} -I -S -m compileall -q -q {sites}"
    build.room.sandbox.exec(command, timeout=600)
