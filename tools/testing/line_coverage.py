"""line_coverage: how much of what the functions of some files do, tests execute."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import CO_OPTIMIZED
from types import CodeType

from ..errors import ToolError
from ..workspace import Workspace
from .runner import TestRunner


def line_coverage(
    runner: TestRunner,
    workspace: Workspace,
    files: Mapping[str, str],
    selection: Sequence[str],
    *,
    timeout: float | None = None,
) -> float | None:
    """Share of the lines in functions of `files` (path to text) that the tests of `selection` execute, in [0, 1].
    Lines that run on import belong to no test and do not count.

    None where it was not measured: another runner than pytest, no line in a function, no test ran, or the time
    (`timeout`, seconds) was over. Costs one traced run (2 to 30 times a plain one before Python 3.12, about 1 since),
    on a fork. Raises: SandboxError.
    """
    wanted = {path: lines for path, text in files.items() if (lines := function_lines(text))}
    if not wanted or not selection:
        return None
    try:
        seen = runner.map_coverage(workspace, selection, timeout=timeout)
    except ToolError:
        return None
    if seen.cut_off or not seen.lines:
        return None
    executed = sum(
        len(lines & _union(found.get(path, frozenset()) for found in seen.lines.values()))
        for path, lines in wanted.items()
    )
    return executed / sum(map(len, wanted.values()))


def function_lines(text: str) -> frozenset[int]:
    """Numbers of the lines in functions of a Python file that have something to execute; empty when it does not
    parse. Nothing of it is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(text.encode("utf-8", "surrogateescape"), "<measured>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(line for found in _functions(code) for line in _lines(found))


def _functions(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & CO_OPTIMIZED:
                yield inner
            yield from _functions(inner)


def _lines(code: CodeType) -> Iterator[int]:
    """But for that of the `def`, which is executed on import."""
    return (line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno)


def _union(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    return frozenset[int]().union(*sets)
