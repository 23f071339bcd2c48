"""EnvironmentSpec: how the environment of an instance is made and its tests are run.

The table `specs.json` covers the SWE-bench Python repositories by version; a row that carries its own
recipe (SWE-rebench `install_config`) is read into the same shape.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ...tools.errors import ProjectError
from ..benchmarks.instance import Instance


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """One environment, before it is built."""

    python: str
    """`3.9`."""
    test: str
    """Test command, to which the test files are appended."""
    parser: str
    """Name in `logs.PARSERS`."""
    requirements: tuple[str, ...] = ()
    """Requirement files in the repository, the first that exists counts."""
    conda: tuple[str, ...] = ()
    """conda environment files in the repository, read as requirements."""
    packages: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    freeze: str | None = None
    """A full freeze, installed without dependencies."""
    pre_install: tuple[str, ...] = ()
    extras: str = ""
    editable: bool = True
    build_isolation: bool = True
    pep517: bool = True
    system: tuple[str, ...] = ()
    """System packages that the official image has; named in the report, never installed."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cutoff: str | None = None
    """Earliest useful cut-off date of package indexes (ISO date); pins are exempt."""

    @property
    def pinned(self) -> tuple[str, ...]:
        """Names of packages that the spec pins: no cut-off date applies to them."""
        names = [
            re.split(r"[\[=<>!~ ;]", item, maxsplit=1)[0]
            for item in (*self.packages, *self.pip)
            if "==" in item
        ]
        return tuple(dict.fromkeys(name.lower() for name in names))


@cache
def _table() -> dict[str, Any]:
    return json.loads((files(__package__ or "") / "specs.json").read_text("utf-8"))


def known_repositories() -> tuple[str, ...]:
    return tuple(_table()["repositories"])


def spec_for(instance: Instance) -> EnvironmentSpec:
    """The specification of an instance. Raises: ProjectError when neither row nor table has one."""
    if instance.recipe:
        return _from_recipe(instance.recipe)
    known = {name.lower(): entry for name, entry in _table()["repositories"].items()}
    entry = known.get(instance.repo.lower())
    if entry is None:
        raise ProjectError(
            f"{instance.id}: no native environment is known for {instance.repo}; use its container image"
        )
    groups = entry["groups"]
    group, _ = _nearest(groups, instance.version)
    return EnvironmentSpec(
        python=group["python"],
        test=group["test"],
        parser=entry["parser"],
        requirements=tuple(group.get("requirements", ())),
        conda=tuple(group.get("conda", ())),
        packages=tuple(group.get("packages", ())),
        pip=tuple(group.get("pip", ())),
        pre_install=tuple(group.get("pre_install", ())),
        extras=group.get("extras", ""),
        editable=group["editable"],
        build_isolation=group.get("build_isolation", True),
        pep517=group.get("pep517", True),
        system=tuple(group.get("system", ())),
        env=group.get("env", {}),
        cutoff=_table()["cutoff"],
    )


def version_note(instance: Instance) -> str | None:
    """What to report when the table lacks the instance's version and a neighbour's is used."""
    if instance.recipe:
        return None
    entry = {name.lower(): item for name, item in _table()["repositories"].items()}.get(instance.repo.lower())
    if entry is None:
        return None
    _, chosen = _nearest(entry["groups"], instance.version)
    if chosen == instance.version:
        return None
    return (
        f"no specification of {instance.repo} {instance.version or '(no version)'}: that of {chosen} is used"
    )


def _nearest(groups: list[dict[str, Any]], version: str | None) -> tuple[dict[str, Any], str]:
    by_version = {name: group for group in groups for name in group["versions"]}
    if version is not None and version in by_version:
        return by_version[version], version
    wanted = _numbers(version or "999999")
    older = [name for name in by_version if _numbers(name) <= wanted]
    chosen = max(older, key=_numbers) if older else min(by_version, key=_numbers)
    return by_version[chosen], chosen


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _from_recipe(recipe: Mapping[str, Any]) -> EnvironmentSpec:
    install = str(recipe.get("install") or "")
    extras = re.search(r"-e\s+['\"]?\.\[([^\]]*)\]", install)
    packages = recipe.get("packages") or ""
    pre = recipe.get("pre_install") or []
    pip = recipe.get("pip_packages") or []
    return EnvironmentSpec(
        python=str(recipe.get("python") or "3.9"),
        test=str(recipe.get("test_cmd") or "pytest -rA"),
        parser=str(recipe.get("log_parser") or "pytest"),
        requirements=_paths(recipe.get("reqs_path")) if packages == "requirements.txt" else (),
        conda=_paths(recipe.get("env_yml_path")) if packages == "environment.yml" else (),
        packages=tuple(shlex.split(packages))
        if packages not in ("requirements.txt", "environment.yml")
        else (),
        pip=tuple(pip if isinstance(pip, (list, tuple)) else shlex.split(str(pip))),
        freeze=str(recipe["freeze"]) if recipe.get("freeze") else None,
        pre_install=tuple(
            command
            for command in (pre if isinstance(pre, (list, tuple)) else [str(pre)])
            if not re.search(r"\b(apt|apt-get|yum|conda|wget|curl)\b", command)
        ),
        extras=extras[1] if extras else "",
        build_isolation="--no-build-isolation" not in install,
    )


def _paths(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)
