"""Native environments: what an official image holds, built on this machine without one.

An environment is a directory of the cache: `testbed/` (the repository at the base commit, prepared and
committed), `venv/`, `build.log` and `environment.json`, which is written last. It is found by the
sha256 of everything that shapes it, the purpose included: what an agent works in and what a grader
runs in never share a repository or a virtual environment. Building is serialised by a file lock.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from ...tools.errors import RepositoryError
from ...tools.files import locked, write_atomically
from ...tools.project.interpreters import Interpreter
from ...tools.sandbox import DEFAULT_ROOT, Limits, SandboxSpec
from ..benchmarks.instance import Instance
from ..solving.run_directory import cache_root
from . import mirror as mirrors
from .builder import Builder
from .installer import Installer, leaving_only_the_log
from .interpreter import find_interpreter
from .layer import copy_layer
from .relocate import relocate
from .requirements import conda_requirements_at, only_conda_at, requirements_at
from .spec import EnvironmentSpec, spec_for, version_note
from .submodules import fill_submodules

Purpose = Literal["agent", "grader"]
_SCHEMA = 7


@dataclass(frozen=True, slots=True)
class NativeEnvironment:
    """A built environment. The repository is meant to be seen at /testbed, where `venv` expects it."""

    directory: Path
    spec: EnvironmentSpec
    python: str
    """Full version of the interpreter."""
    prefix: Path
    """Installation directory of the interpreter."""
    commit: str
    """Commit of `repository` that patches are diffs against (base plus the preparation)."""
    cutoff: str | None
    notes: tuple[str, ...]
    """What differs from the specification, for the report."""
    build_s: float
    """Seconds the build took; for one from the cache, what it took then."""
    cached: bool
    own_venv: Path | None = None
    """A virtual environment in place of the directory's own."""

    @property
    def repository(self) -> Path:
        return self.directory / "testbed"

    @property
    def venv(self) -> Path:
        return self.own_venv or self.directory / "venv"

    @property
    def env(self) -> dict[str, str]:
        """Environment of every command."""
        return command_env(self.venv, self.spec)

    def sandbox_spec(self, scratch: Path, *, label: str = "", limits: Limits | None = None) -> SandboxSpec:
        """How to open a sandbox over it."""
        return SandboxSpec(
            source=self.repository,
            scratch=scratch,
            root=DEFAULT_ROOT,
            read_only=tuple(dict.fromkeys((self.venv, self.prefix))),
            env=self.env,
            limits=limits or Limits(memory_bytes=8 << 30, output_bytes=32 << 20),
            label=label,
        )


def command_env(venv: Path, spec: EnvironmentSpec) -> dict[str, str]:
    """Environment variables of commands that run in `venv`."""
    return {
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        **{name: value for name, value in spec.env.items() if name not in ("LANG", "LC_ALL", "LANGUAGE")},
    }


def cache_directory(path: Path | None = None) -> Path:
    """Where environments are kept: `native` in `path`, or in the cache directory of the program."""
    return (path or cache_root()) / "native"


def prepare_environment(
    instance: Instance, mirror_dir: Path | None, *, purpose: Purpose, cache: Path | None = None
) -> NativeEnvironment:
    """Build the environment of an instance, or find it in the cache.

    Raises: RepositoryError when the mirror lacks the repository or the commit; ProjectError when no
    specification is known or the build fails, naming the log.
    """
    spec = spec_for(instance)
    if purpose == "agent" and not any(runner in spec.test for runner in ("pytest", "tox", "runtests.py")):
        spec = replace(spec, pip=(*spec.pip, "pytest"))  # its tools run selections of tests by pytest
    mirror = mirrors.find_mirror(instance.repo, mirror_dir)
    if not mirrors.has_commit(mirror, instance.base_commit):
        raise RepositoryError(f"{mirror} lacks commit {instance.base_commit} of {instance.id}")
    interpreter = find_interpreter(spec.python)
    requirements = _requirements(instance, spec, mirror)
    cutoff = _cutoff(instance, spec, mirror)
    key = _key(instance, spec, interpreter, requirements, cutoff, purpose)
    root = cache_directory(cache).absolute()
    directory = root / f"{instance.repo.replace('/', '__')}-{key[:20]}"
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / f"{directory.name}.lock"):
        found = _load(directory, spec)
        if found is not None:
            return found
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir()
        with leaving_only_the_log(directory):
            built = _built(
                instance, spec, interpreter, requirements, cutoff, mirror, mirror_dir, directory, purpose
            )
            _save(built)
        return built


def _built(
    instance: Instance,
    spec: EnvironmentSpec,
    interpreter: Interpreter,
    requirements: list[str],
    cutoff: str | None,
    mirror: Path,
    mirror_dir: Path | None,
    directory: Path,
    purpose: Purpose,
) -> NativeEnvironment:
    """Build in `directory`. Raises: RepositoryError, ProjectError."""
    started = time.monotonic()
    notes = [note for note in (version_note(instance),) if note]
    if interpreter.short != spec.python:
        notes.append(f"Python {interpreter.short} instead of {spec.python}, which this machine lacks")
    if requirements == ["pytest"]:
        notes.append(
            f"{' and '.join((*spec.requirements, *spec.conda))} list nothing: pytest alone was installed"
        )
    if spec.system:
        notes.append(f"system packages of the official image, not installed: {', '.join(spec.system)}")
    if only := _only_conda(instance, spec, mirror):
        notes.append(f"only conda has, not installed: {', '.join(only)}")
    mirrors.checkout(mirror, instance.base_commit, directory / "testbed")
    notes += fill_submodules(mirror, instance, directory / "testbed", mirror_dir)
    env = command_env(directory / "venv", spec)
    notes += copy_layer(
        directory.parent / "layers",
        directory / "venv",
        lambda home: Installer(home, spec, command_env(home / "venv", spec), cutoff, interpreter),
        interpreter,
        requirements,
        purpose,
    )
    with Builder(directory, spec, env, cutoff, interpreter, _created(instance, mirror)) as builder:
        builder.build()
        commit = builder.commit(mirrors.commit_date(mirror, instance.base_commit))
    relocate(directory / "venv", {str(directory / "testbed"): str(DEFAULT_ROOT)})
    return NativeEnvironment(
        directory,
        spec,
        ".".join(map(str, interpreter.release)),
        interpreter.prefix,
        commit,
        builder.cutoff,
        tuple(dict.fromkeys((*notes, *builder.notes))),
        round(time.monotonic() - started, 2),
        cached=False,
    )


def _requirements(instance: Instance, spec: EnvironmentSpec, mirror: Path) -> list[str]:
    commits = [commit for commit in (instance.environment_commit, instance.base_commit) if commit]
    for commit in commits:
        if mirrors.has_commit(mirror, commit):
            found = requirements_at(mirror, commit, spec.requirements) if spec.requirements else []
            found += conda_requirements_at(mirror, commit, spec.conda) if spec.conda else []
            if found:
                return found
    # no list to go by: what runs most suites at least
    return ["pytest"] if spec.requirements or spec.conda else []


def _only_conda(instance: Instance, spec: EnvironmentSpec, mirror: Path) -> list[str]:
    commits = [commit for commit in (instance.environment_commit, instance.base_commit) if commit]
    known = (commit for commit in commits if mirrors.has_commit(mirror, commit))
    return next((only_conda_at(mirror, commit, spec.conda) for commit in known), []) if spec.conda else []


def _cutoff(instance: Instance, spec: EnvironmentSpec, mirror: Path) -> str | None:
    return max(filter(None, (_created(instance, mirror), spec.cutoff)))


def _created(instance: Instance, mirror: Path) -> str:
    return (instance.created_at or mirrors.commit_date(mirror, instance.base_commit))[:10]


def _key(
    instance: Instance,
    spec: EnvironmentSpec,
    interpreter: Interpreter,
    requirements: list[str],
    cutoff: str | None,
    purpose: str,
) -> str:
    parts = {
        "schema": _SCHEMA,
        "purpose": purpose,
        "repo": instance.repo,
        "commit": instance.base_commit,
        "python": [str(interpreter.path), *interpreter.release],
        "spec": {**asdict(spec), "env": dict(spec.env)},
        "requirements": requirements,
        "cutoff": cutoff,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _save(environment: NativeEnvironment) -> None:
    fields = {
        "python": environment.python,
        "prefix": str(environment.prefix),
        "commit": environment.commit,
        "cutoff": environment.cutoff,
        "notes": list(environment.notes),
        "build_s": environment.build_s,
    }
    write_atomically(environment.directory / "environment.json", json.dumps(fields, indent=1))


def _load(directory: Path, spec: EnvironmentSpec) -> NativeEnvironment | None:
    try:
        fields = json.loads((directory / "environment.json").read_text())
    except (OSError, ValueError):
        return None
    return NativeEnvironment(
        directory,
        spec,
        fields["python"],
        Path(fields["prefix"]),
        fields["commit"],
        fields["cutoff"],
        tuple(fields["notes"]),
        fields["build_s"],
        cached=True,
    )
