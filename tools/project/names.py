"""Names: what a repository's package is called, by its distribution and by those who import it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .manifest import Manifest, strings
from .resolve import import_paths, project_name

_NO_PACKAGE = frozenset(
    [
        "test",
        "tests",
        "testing",
        "doc",
        "docs",
        "example",
        "examples",
        "sample",
        "samples",
        "script",
        "scripts",
        "tool",
        "tools",
        "bench",
        "benchmark",
        "benchmarks",
        "build",
        "dist",
        "utils",
        "setup",
        "conftest",
        "noxfile",
        "tasks",
        "ci",
        "src",
        "lib",
    ]
)


def package_names(repository: Path, *known: str) -> tuple[str, ...]:
    """The distribution's name and the top-level packages and modules of the checkout, with `known` (the name of
    the repository) in front; each once. `scikit-learn` is imported as `sklearn`: both are its names."""
    manifest = Manifest(repository)
    modules = manifest.toml("tool", "setuptools", "py-modules") or manifest.setup_arguments.get("py_modules")
    names = [*known, project_name(manifest), *_packages(manifest), *strings(modules)]
    return tuple(dict.fromkeys(name for name in names if name))


def _packages(manifest: Manifest) -> Iterable[str]:
    for place in import_paths(manifest):
        for path in sorted((manifest.repository / place).iterdir()):
            if path.name in _NO_PACKAGE or path.is_symlink():
                continue
            if (path / "__init__.py").is_file():
                yield path.name
            elif place != "." and path.suffix == ".py" and path.stem not in _NO_PACKAGE:
                yield path.stem
