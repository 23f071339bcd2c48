"""Which Python files a suite would take: what lies among tests is often their runner, or made up for them to read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from ...project.manifest import Manifest
from .source_tree import SourceTree

_NAMED = re.compile(r"(?:^|[_.-])tests?(?=[_.-]|$)|^test|(?:^|[a-z0-9_])Tests?(?![a-z])")
"""What pytest (`test_*`, `*_test`), unittest (`test*`), Django (`tests`), nose and zope (`*_tests`, `XTests`) take."""


class _Committed(Manifest):
    """Of a commit that is not checked out."""

    def __init__(self, tree: SourceTree) -> None:
        super().__init__(tree.repository)
        self._tree = tree

    def text(self, path: str) -> str:
        return self._tree.text(path) or ""

    def has(self, path: str) -> bool:
        return path in self._tree.blobs


def collected(paths: Iterable[str], tree: SourceTree) -> list[str]:
    """Those of `paths` whose names the runners take by themselves or pytest's `python_files` names; all of them where
    that leaves none: such a suite is named in another place."""
    known = list(paths)
    patterns = _Committed(tree).pytest_setting("python_files").split()
    taken = [path for path in known if _is_taken(PurePosixPath(path), patterns)]
    return taken or known


def _is_taken(path: PurePosixPath, patterns: Iterable[str]) -> bool:
    if _NAMED.search(path.stem):
        return True
    return any(
        path.match(pattern) if "/" in pattern else fnmatchcase(path.name, pattern) for pattern in patterns
    )
