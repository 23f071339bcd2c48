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
from .resolve import host_requirements, locked_versions
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
        requirements = plan.requirements
        if not complete or deferred or requirements.install_repository or requirements.nested:
            with build.sandbox() as sandbox:
                root = sandbox.root
                before = _others(sandbox)
                if not complete:
                    install_each(build, sandbox, wanted)
                install_each(build, sandbox, deferred)
                if requirements.install_repository:
                    installed = install_repository(build, sandbox)
                if requirements.nested:
                    install_nested(build, sandbox)
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
    write_atomically(folder / _MARKER, json.dumps(marker))
    return Environment(folder, root, installed, log, tuple(build.notes))


def _run_setup(build: Build, setup: str) -> PurePosixPath:
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


def _ensure_pytest(build: Build) -> None:
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


def _keep_artefacts(build: Build, sandbox: Sandbox, before: set[str]) -> None:
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


def _compile(build: Build) -> None:
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
