"""Which files of a repository are tests, by the names that the languages' runners go by."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache
from pathlib import PurePosixPath

_NAMES = (
    *("test_*.py", "*_test.py", "tests.py", "conftest.py", "*.test.*", "*.spec.*"),
    *("*_test.go", "*_test.rb", "*_spec.rb", "*Test.java", "*Tests.java"),
)
_FOLDERS = frozenset({"test", "tests", "testing", "spec", "specs", "__tests__"})
_WORDS = frozenset({"tests", "testcase", "testcases", "testsuite", "testsuites", "unittest", "unittests"})
"""Words of a folder's name (`unit_tests`, `python_testcases`) that no product's package goes by."""


def is_test_file(path: str) -> bool:
    """Whether `path` (relative to the root) is a test, or lies among tests."""
    parts = PurePosixPath(path).parts
    name = parts[-1] if parts else ""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES) or any(map(_holds_tests, parts[:-1]))


@lru_cache(4096)
def _holds_tests(folder: str) -> bool:
    return folder in _FOLDERS or not _WORDS.isdisjoint(re.split(r"[_\-.]", folder.lower()))
