"""Artefacts: files that building, testing and editing leave behind, by their names."""

from __future__ import annotations

import fnmatch

NAMES = (
    *(
        "__pycache__",
        "*.pyc",
        "*.pyo",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
        ".cache",
    ),
    *(".tox", ".nox", ".venv", "venv", "*.egg-info", ".eggs", "node_modules", ".ipynb_checkpoints", ".idea"),
    *(
        ".coverage",
        ".coverage.*",
        "coverage.xml",
        "htmlcov",
        "junit*.xml",
        "nohup.out",
        "*.log",
        "core.[0-9]*",
    ),
    *(".DS_Store", "*.orig", "*.rej", "*.swp", "*.swo", "*~", ".swe-agent*"),
)


def is_artefact(path: str) -> bool:
    """Whether a part of the path is named as one."""
    return any(fnmatch.fnmatchcase(part, pattern) for part in path.split("/") for pattern in NAMES)
