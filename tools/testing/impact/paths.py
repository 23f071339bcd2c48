"""What the path of a file says: what it is about, and whether it is called a test."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_PATH_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
PLACES = frozenset({"tests", "test", "testing", "src", "lib", "unit", "unittest", "unittests", "init", "py"})
"""Words of a path that every test's path may have."""


def named_test(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith("test_") or name.endswith("_test.py")


def is_of_another_language(path: str) -> bool:
    return PurePosixPath(path).suffix in (
        ".js",
        ".ts",
        ".jsx",
        ".tsx",
        ".go",
        ".rb",
        ".java",
        ".rs",
        ".mjs",
        ".kt",
    )


def stem_of_path(path: str) -> str:
    """`tests/test_x.py`, `pkg/x_test.py`, `pkg/_x.py` and `x/tests.py` are all about `x`; a package's `__init__`
    is about the package."""
    pure = PurePosixPath(path)
    stem = pure.name.split(".")[0].strip("_").lower()
    if stem in ("init", "tests", "test"):
        stem = next((part for part in reversed(pure.parts[:-1]) if part not in PLACES), "").lower()
    return (
        stem.removeprefix("test_")
        .removeprefix("tests_")
        .removesuffix("_test")
        .removesuffix("_tests")
        .strip("_")
    )


def path_words(path: str) -> frozenset[str]:
    words = (found.lower() for found in _PATH_WORD.findall(path.removesuffix(".py")))
    return frozenset(_singular(word) for word in words if word not in PLACES and len(word) > 1)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
