"""Which files of a repository are tests, by the names that the languages' runners go by."""

from __future__ import annotations

import fnmatch
from pathlib import PurePosixPath

_NAMES = (
    *("test_*.py", "*_test.py", "tests.py", "conftest.py", "*.test.*", "*.spec.*"),
    *("*_test.go", "*_test.rb", "*_spec.rb", "*Test.java", "*Tests.java"),
)
_FOLDERS = frozenset({"test", "tests", "testing", "spec", "specs", "__tests__"})


def is_test_file(path: str) -> bool:
    """Whether `path` (relative to the root) is a test, or lies among tests."""
    parts = PurePosixPath(path).parts
    name = parts[-1] if parts else ""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES) or bool(_FOLDERS & set(parts[:-1]))
