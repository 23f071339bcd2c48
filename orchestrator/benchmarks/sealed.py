"""SealedGold: the gold data of an instance, sealed.

Nothing that solves may see how an instance was really solved or is judged. The values live behind
`open`, which works only inside `grading()`; they cannot be pickled, so they never reach a worker
process, and they never appear in a repr.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NoReturn

from ...tools.errors import SweAgentError

_GRADING: ContextVar[bool] = ContextVar("grading", default=False)


class SealedError(SweAgentError):
    """Gold data was read outside the grader, or was poisoned on purpose."""


@dataclass(frozen=True, slots=True)
class ProJudge:
    """How SWE-bench Pro judges: commands that place the tests, then its own script and parser."""

    before: str
    """`before_repo_set_cmd`; its last line checks the test files out of the fix, which the image holds."""
    tests: tuple[str, ...]
    """Files that the script is given, joined by commas."""
    run_script: str | None = None
    """Text of run_script.sh; None: `run_scripts/<id>/` beside the dataset."""
    parser: str | None = None
    """Text of parser.py: `parser.py STDOUT STDERR OUTPUT` writes {"tests": [{"name", "status"}]}."""


@dataclass(frozen=True, slots=True)
class Gold:
    """What the grader judges with. Test ids are the log parser's own."""

    patch: str = ""
    test_patch: str = ""
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    eval_script: str | None = None
    """5.x rows: the script that runs the tests in the official image."""
    log_parser: str | None = None
    """Name of a parser in `logs.PARSERS`, or the name that a 5.x row gives."""
    fail_only: bool = False
    """5.x `eval_type: fail_only`: a test that is absent from the log counts as passed."""
    pro: ProJudge | None = None


class SealedGold:
    """A sealed `Gold`. `SealedGold.poisoned` stands where solving code must never look."""

    __slots__ = ("_gold", "_instance_id")

    def __init__(self, instance_id: str, gold: Gold | None) -> None:
        self._instance_id = instance_id
        self._gold = gold

    @classmethod
    def poisoned(cls, instance_id: str) -> SealedGold:
        """One that raises SealedError on every read, inside the grader too."""
        return cls(instance_id, None)

    def open(self) -> Gold:
        """The gold data. Raises: SealedError outside `grading()` or when poisoned."""
        if self._gold is None:
            raise SealedError(f"{self._instance_id}: the evaluation data is poisoned; nothing may read it")
        if not _GRADING.get():
            raise SealedError(f"{self._instance_id}: evaluation data was read outside the grader")
        return self._gold

    def __repr__(self) -> str:
        return f"SealedGold({self._instance_id!r}, sealed)"

    def __reduce__(self) -> NoReturn:
        raise SealedError(f"{self._instance_id}: evaluation data does not leave the grader's process")


@contextmanager
def grading() -> Iterator[None]:
    """Mark the caller as the grader for the length of the block (this thread or task alone)."""
    token = _GRADING.set(True)
    try:
        yield
    finally:
        _GRADING.reset(token)
