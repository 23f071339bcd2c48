"""Nested: projects below the root of a repository, as a workspace declares them or a monorepo holds them."""

from __future__ import annotations

from pathlib import PurePosixPath

from .manifest import Manifest, strings

_DEEPEST = 3
_MOST = 20
_PACKAGING = ("pyproject.toml", "setup.py", "setup.cfg")


def nested_projects(manifest: Manifest) -> list[str]:
    """Folders, relative to the root, that are projects of their own and whose tests count: the members of
    a uv workspace; where the root is no project itself, the folders with packaging or requirements files that
    hold tests."""
    members = strings(manifest.toml("tool", "uv", "workspace", "members"))
    if members:
        excluded = strings(manifest.toml("tool", "uv", "workspace", "exclude"))
        found = _matching(manifest, members) - _matching(manifest, excluded)
        return sorted(folder for folder in found if Manifest(manifest.repository / folder).installable)
    if manifest.installable or any(manifest.has(name) for name in ("requirements.txt", "manage.py")):
        return []
    found: set[str] = set()
    for test in manifest.test_files:
        parents = [str(parent) for parent in PurePosixPath(test).parents if str(parent) != "."]
        for folder in reversed(parents[-_DEEPEST:]):
            if is_project(manifest, folder):
                found.add(folder)
                break
    # Tests at the root, too: then the root is the project, and what lies below are its examples.
    outside = [t for t in manifest.test_files if not any(t.startswith(f"{folder}/") for folder in found)]
    return [] if outside else sorted(found)[:_MOST]


def is_project(manifest: Manifest, folder: str) -> bool:
    """Whether a folder says how it is installed."""
    if manifest.has(f"{folder}/requirements.txt"):
        return True
    return any(manifest.has(f"{folder}/{name}") for name in _PACKAGING) and (
        Manifest(manifest.repository / folder).installable
    )


def _matching(manifest: Manifest, patterns: list[str]) -> set[str]:
    root = manifest.repository
    found: set[str] = set()
    for pattern in patterns:
        if pattern.startswith("/") or ".." in PurePosixPath(pattern).parts:
            continue
        try:
            found |= {str(path.relative_to(root)) for path in root.glob(pattern) if path.is_dir()}
        except (ValueError, NotImplementedError):
            continue
    return found - {"."}
