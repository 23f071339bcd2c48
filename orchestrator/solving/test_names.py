"""Test names: the files that they belong to."""

from __future__ import annotations

from collections.abc import Collection


def file_of(test: str) -> str:
    """The file of a pytest id; the whole id for other runners."""
    return test.partition("::")[0]


def home_of(test: str, files: Collection[str]) -> str | None:
    """The one of `files` that a test is in; None: it is in none. A dotted id's module is looked for at the root and
    in folders of tests."""
    if "::" in test or "/" in test:
        return file_of(test) if file_of(test) in files else None
    parts = test.split(".")
    for count in range(len(parts), 0, -1):
        path = "/".join(parts[:count]) + ".py"
        for folder in ("", "tests/", "test/"):
            if folder + path in files:
                return folder + path
    return None
