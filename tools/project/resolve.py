"""Which requirements the host may install by itself, which need the build sandbox, and the cache key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .manifest import Manifest, dig, strings
from .nested import nested_projects
from .poetry import poetry_requirements
from .requirements import Requirements, file_lines, is_requirement

_KEY_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "MANIFEST.in", "meson.build", "CMakeLists.txt")


def host_requirements(manifest: Manifest, found: Requirements) -> tuple[list[str], list[str]]:
    """(named requirements that wheels can satisfy, lines that must be handled in the sandbox).

    A requirement that names the repository itself becomes an extra of it: installed from the index it
    would bring another version, perhaps one with the fix. Static dependencies of the repository are among
    the named ones, so that one resolution sees everything.
    """
    own = project_name(manifest)
    named: list[str] = []
    deferred: list[str] = []
    lines = list(found.names)
    seen: set[str] = set()
    for path in found.files:
        lines += file_lines(manifest, path, seen)
    if found.install_repository:
        lines += strings(manifest.toml("project", "dependencies"))
        for extra in found.extras:
            lines += strings(dig(manifest.toml("project", "optional-dependencies"), extra))
    for line in lines:
        text = re.sub(r"(^|\s)#.*$", "", line).strip().rstrip("\\").strip()
        text = re.sub(r"\s+--hash=\S+", "", text)
        if not text:
            continue
        if itself := re.fullmatch(r"(?:-e\s*|--editable[\s=])?\.(?:\[([\w,.\s-]+)\])?/?", text):
            found.install_repository = True
            _add_extras(found, itself[1])
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            if re.match(r"(-e|--editable|\.|git\+|https?:|file:)", text):
                deferred.append(text)
            continue
        if own and canonical(requirement.name) == own:
            found.install_repository = True
            _add_extras(found, ",".join(requirement.extras))
            if manifest.toml("project", "optional-dependencies"):
                for extra in requirement.extras:
                    more = strings(dig(manifest.toml("project", "optional-dependencies"), extra))
                    named += [m for m in more if canonical(re.split(r"[^\w.-]", m)[0]) != own]
        elif requirement.url:
            deferred.append(text)
        else:
            named.append(text)
    return list(dict.fromkeys(named)), list(dict.fromkeys(deferred))


def forge_hosts(lines: Iterable[str]) -> tuple[str, ...]:
    """The hosts of requirements that name an https address; GitHub's archives come from a second one."""
    found = (
        match for line in lines for match in re.finditer(r"https://(?:[^/\s@]*@)?([\w.-]+)(?::443)?/", line)
    )
    hosts = {match[1].lower() for match in found}
    return tuple(sorted(hosts | ({"codeload.github.com"} if "github.com" in hosts else set())))


def required_hosts(text: str) -> tuple[str, ...]:
    """Those of the addresses that a build file requires something from (`name @ https://...`, `git+https://...`)."""
    return forge_hosts(re.findall(r"(?:git\+|@\s*)https://[^\s\"']+", text))


def declared_dependencies(manifest: Manifest) -> list[str]:
    """What the repository needs at run time as far as its files say so without being run; for an
    installation that cannot find it out."""
    lines = [
        *strings(manifest.toml("project", "dependencies")),
        *manifest.cfg(manifest.setup_cfg, "options", "install_requires").splitlines(),
        *strings(manifest.setup_arguments.get("install_requires")),
        *poetry_requirements(manifest.toml("tool", "poetry", "dependencies")),
    ]
    dynamic = manifest.toml("tool", "setuptools", "dynamic", "dependencies", "file")
    for path in [dynamic] if isinstance(dynamic, str) else strings(dynamic):
        lines += file_lines(manifest, path, set())
    texts = [re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines]
    return list(dict.fromkeys(text for text in texts if is_requirement(text)))


def locked_versions(manifest: Manifest) -> list[str]:
    """`name==version` for what uv.lock, poetry.lock or pdm.lock pin to exactly one version from an index:
    the versions that the repository was last seen to work with."""
    own = project_name(manifest)
    for name in ("uv.lock", "poetry.lock", "pdm.lock"):
        try:
            packages = tomllib.loads(manifest.text(name)).get("package")
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
        versions: dict[str, set[str]] = {}
        for package in packages if isinstance(packages, list) else ():
            title, version, source = (package.get(k) for k in ("name", "version", "source"))
            if not (isinstance(title, str) and isinstance(version, str)):
                continue
            elsewhere = isinstance(source, dict) and not {"registry", "reference"} & set(source)
            if canonical(title) != own and not elsewhere:
                versions.setdefault(canonical(title), set()).add(version)
        if versions:
            return [f"{title}=={next(iter(v))}" for title, v in sorted(versions.items()) if len(v) == 1]
    return []


def _add_extras(found: Requirements, text: str | None) -> None:
    for extra in (e.strip() for e in (text or "").split(",")):
        if extra and extra not in found.extras:
            found.extras.append(extra)


def canonical(name: str) -> str:
    """A distribution name in its normal form (PEP 503)."""
    return canonicalize_name(name)


def project_name(manifest: Manifest) -> str:
    """The repository's own distribution name, "" when unknown."""
    for value in (
        manifest.toml("project", "name"),
        manifest.toml("tool", "poetry", "name"),
        manifest.toml("tool", "flit", "metadata", "dist-name")
        or manifest.toml("tool", "flit", "metadata", "module"),
        manifest.cfg(manifest.setup_cfg, "metadata", "name"),
        manifest.setup_arguments.get("name"),
    ):
        if isinstance(value, str) and value.strip():
            return canonical(value.strip())
    return ""


def requirement_inputs(manifest: Manifest, found: Requirements) -> list[str]:
    """Text of every file that decides what gets installed, for the cache key."""
    seen: set[str] = set()
    texts = [f"{path}:{line}" for path in found.files for line in file_lines(manifest, path, seen)]
    texts += locked_versions(manifest)
    if found.install_repository:
        texts += [f"{path}:{manifest.text(path)}" for path in _KEY_FILES]
    for nested in found.nested:
        folder = nested.partition("[")[0]
        texts += [nested, *(f"{folder}/{path}:{manifest.text(f'{folder}/{path}')}" for path in _KEY_FILES)]
    return texts


def import_paths(manifest: Manifest) -> tuple[str, ...]:
    """Folders, relative to the root, that hold the importable packages: `src`, `lib`, `.`."""
    where: list[str] = []
    for value in (
        manifest.toml("tool", "setuptools", "package-dir"),
        manifest.setup_arguments.get("package_dir"),
    ):
        if isinstance(value, dict) and isinstance(value.get(""), str):
            where.append(value[""])
    where += strings(manifest.toml("tool", "setuptools", "packages", "find", "where"))
    match = re.search(
        r"^\s*=\s*(\S+)", manifest.cfg(manifest.setup_cfg, "options", "package_dir"), re.MULTILINE
    )
    if match:
        where.append(match[1])
    tops = {path.split("/")[0] for path in manifest.python_files if "/" in path}
    if "src" in tops and not manifest.has("src/__init__.py"):
        where.append("src")
    for folder in nested_projects(manifest):
        below = import_paths(Manifest(manifest.repository / folder))
        where += [folder if path == "." else f"{folder}/{path}" for path in below]
    safe = [w.strip("/") or "." for w in where]
    safe = [w for w in safe if ".." not in PurePosixPath(w).parts and (manifest.repository / w).is_dir()]
    return tuple(dict.fromkeys([*safe, "."]))
