"""Unittests: the suite of a project that has no pytest, through the standard library's loader."""

from __future__ import annotations

import os
import sys
import unittest
from typing import Any, Dict, List, Sequence

from . import guard
from .outcomes import LATE
from .suite import Stop, module_of


class _Result(unittest.TestResult):
    """Keeps the exception itself."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self.outcomes: Dict[str, str] = {}

    def addSuccess(self, test: Any) -> None:
        self.outcomes.setdefault(test.id(), "passed")

    def _bad(self, test: Any, err: Any) -> None:
        self.error = self.error or err[1]
        self.outcomes[test.id()] = "failed"

    def addError(self, test: Any, err: Any) -> None:
        self._bad(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self._bad(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._bad(test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        self.outcomes.setdefault(test.id(), "skipped")

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.outcomes[test.id()] = "failed"


class Item:
    """A test method behind the hooks of a pytest item."""

    def __init__(self, case: unittest.TestCase) -> None:
        self.case = case
        self.nodeid = case.id()
        self.fspath = getattr(sys.modules.get(type(case).__module__), "__file__", "")
        self.ihook = self
        self._request: Any = True
        self.funcargs: Any = None

    def pytest_runtest_setup(self, item: Any) -> None:
        return None

    def pytest_runtest_call(self, item: Any) -> None:
        result = _Result()
        unittest.TestSuite([type(self.case)(self.case._testMethodName)]).run(result)
        error: Any = result.error
        if error is not None:
            raise error
        if "skipped" in result.outcomes.values():
            raise unittest.SkipTest("skipped")

    def pytest_runtest_teardown(self, item: Any, nextitem: Any) -> None:
        return None

    def _initrequest(self) -> None:
        self._request = True


class Collected:
    def __init__(self, items: List[Item]) -> None:
        self.items = items


def modules_of(tests: Sequence[str], root: str) -> List[str]:
    """Dotted module names that hold the tests; without tests, every test module under the root."""
    modules = {module_of(test, root)[1] for test in tests} - {""}
    if not tests:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = os.path.relpath(folder, root)
            for name in files:
                if name.startswith("test") and name.endswith(".py"):
                    path = os.path.normpath(os.path.join(inside, name))
                    modules.add(path[:-3].replace(os.sep, "."))
    return sorted(modules)


def collect(tests: Sequence[str], root: str) -> Collected:
    """Test methods of the modules that the ids name; a module that cannot be imported holds none."""
    found: List[Item] = []
    stack: List[Any] = [unittest.TestLoader().loadTestsFromNames(modules_of(tests, root))]
    while stack:
        one = stack.pop()
        if isinstance(one, unittest.TestSuite):
            stack.extend(reversed(list(one)))
        elif not type(one).__module__.startswith("unittest."):
            found.append(Item(one))
    return Collected(found)


def run_all(tests: Sequence[str], root: str, limit: float) -> Dict[str, str]:
    """Outcomes by id of a run from scratch in this process."""
    result = _Result()
    guard.arm(limit)
    try:
        unittest.TestSuite([item.case for item in collect(tests, root).items]).run(result)
    except Stop:
        result.outcomes[LATE] = "failed"
    finally:
        guard.disarm()
    return result.outcomes
