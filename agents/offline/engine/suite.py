"""Suite: the collected tests, run again and again in one process.

pytest collects once; its run loop is replaced by ours. An item is run through its own setup, call and
teardown hooks, so fixtures, marks, parameters and unittest classes work as ever, but no report is made.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .soften import Recorder

_OUTCOMES = ("Skipped", "XFailed")


class Unit(NamedTuple):
    """One observable outcome: an assertion (line, occurrence) of a test, or its end (line 0)."""

    test: int
    line: int
    nth: int


class Verdict(NamedTuple):
    passed: bool
    skipped: bool
    units: dict[Unit, bool]
    error: str
    seconds: float


class Stop(BaseException):
    """Raised by the alarm inside a test."""


def _alarm(signum: int, frame: Any) -> None:
    raise Stop


def wall_of(seconds: float) -> float:
    """Wall seconds within which so many seconds of processor time are had on a crowded machine."""
    return min(10 * seconds + 2.0, seconds + 90.0)


def arm(seconds: float) -> None:
    """Raise `Stop` after `seconds` of processor time, or some more of wall time (a busy machine must not make
    a candidate look slow, and one that sleeps must not last), and again and again for code that swallows it."""
    signal.signal(signal.SIGPROF, _alarm)
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.05)
    signal.setitimer(signal.ITIMER_REAL, wall_of(seconds), 0.05)


def disarm() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def pytest_arguments(files: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """Arguments of a quiet run in one process, whatever the project's own options ask for."""
    args = ["-s", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:faulthandler"]
    args += ["--continue-on-collection-errors", "-W", "ignore::pytest.PytestConfigWarning"]
    for module, options in (
        ("xdist", ["-n", "0"]),
        ("pytest_cov", ["--no-cov"]),
        ("pytest_timeout", ["--timeout", "0"]),
    ):
        # Not imported here: pytest warns of plugins that are, and such a warning may be an error.
        if importlib.util.find_spec(module) is not None:
            args += options
    return [*args, *extra, *files]


class Suite:
    """Items of one collection. `tests` are indices into `items`."""

    def __init__(self, items: Sequence[Any], recorder: Recorder, parts: list[str]) -> None:
        self.items = list(items)
        self.recorder = recorder
        self.parameters: dict[int, list[Any]] = {}
        self.parts = parts
        """What failed subtests of the running test said: they are reported one by one, and raise nothing."""
        # The runner of a doctest empties the names that its examples see.
        doctests = {index: getattr(item, "dtest", None) for index, item in enumerate(self.items)}
        self.names = {index: (test.globs, dict(test.globs)) for index, test in doctests.items() if test}

    def keep_parameters(self) -> None:
        """Remember pristine copies of parametrised inputs: mutants alter them in place."""
        for index, item in enumerate(self.items):
            spec = getattr(item, "callspec", None)
            for name in ("params", "funcargs"):
                table = getattr(spec, name, None)
                if table:
                    self.parameters.setdefault(index, []).append((table, _copied(table)))

    def bounded(self, test: int, limit: float) -> Verdict:
        """One test that fails with the error `Stop` when it takes longer than `limit` seconds."""
        start = time.process_time()
        arm(limit)
        try:
            return self.run(test)
        except Stop:
            disarm()
            stopped = Verdict(False, False, self._units(test, Stop()), "Stop", time.process_time() - start)
            self._torn_down(self.items[test])
            return stopped
        finally:
            disarm()

    @staticmethod
    def _torn_down(item: Any) -> None:
        """After a test that was torn off in the middle, lest the next one finds things half set up."""
        arm(1.0)
        with contextlib.suppress(BaseException):  # a teardown may raise anything, outcomes of pytest included
            item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
        disarm()
        item._request, item.funcargs = False, None

    def run(self, test: int) -> Verdict:
        """One test; everything set up is torn down. Raises: Stop."""
        item = self.items[test]
        for table, pristine in self.parameters.get(test, ()):
            table.clear()
            table.update(_copied(pristine))
        if test in self.names:
            names, whole = self.names[test]
            names.clear()
            names.update(whole)
        self.recorder.reset()
        self.parts.clear()
        start = time.process_time()
        error: BaseException | None = None
        skipped = False
        if not getattr(item, "_request", True):
            item._initrequest()
        filters = warning_filters(item)
        try:
            with filters:
                item.ihook.pytest_runtest_setup(item=item)
                item.ihook.pytest_runtest_call(item=item)
            held = getattr(item, "_excinfo", None)  # where pytest's unittest plugin keeps failures
            if held:
                error = held.pop(0).value
                held.clear()
        except (Stop, KeyboardInterrupt):
            raise
        except BaseException as caught:  # outcomes of pytest and SystemExit of a mutant are BaseException
            error = caught
        if error is not None and type(error).__name__ in (*_OUTCOMES, "SkipTest"):
            skipped, error = True, None
        try:
            told(item, error)
            item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
        except (Stop, KeyboardInterrupt):
            raise
        except BaseException as caught:  # as above
            error = error or caught
        item._request, item.funcargs = False, None
        failed = error if error is not None or not self.parts else AssertionError(self.parts[0])
        units = self._units(test, failed)
        passed = units[Unit(test, 0, 0)] and not skipped
        text = f"{type(error).__name__}: {str(error)[:200]}" if error is not None else "".join(self.parts[:1])
        return Verdict(passed, skipped, units, text, time.process_time() - start)

    def _units(self, test: int, error: BaseException | None) -> dict[Unit, bool]:
        units: dict[Unit, bool] = {}
        counts: dict[int, int] = {}
        for line, good in self.recorder.events:
            counts[line] = counts.get(line, 0) + 1
            units[Unit(test, line, counts[line])] = good
        units[Unit(test, 0, 0)] = error is None and all(units.values())
        return units


def warning_filters(item: Any) -> Any:
    """The context in which pytest runs an item: the project's own `filterwarnings` hold."""
    try:
        from _pytest.warnings import catch_warnings_for_item

        return catch_warnings_for_item(config=item.config, ihook=item.ihook, when="runtest", item=item)
    except (ImportError, AttributeError, TypeError):
        return contextlib.nullcontext()


def told(item: Any, error: BaseException | None) -> None:
    """What fixtures find out about the test when they are torn down: `tmp_path` keeps or removes its folder by the
    report of the call, and a conftest may have made reports known to its own fixtures."""
    if not hasattr(item, "stash"):
        return  # no item of pytest's, or of one whose tmp_path does not ask
    try:
        from _pytest.runner import CallInfo
        from _pytest.tmpdir import tmppath_result_key
    except ImportError:
        return  # an older pytest: its tmp_path does not ask
    item.stash.setdefault(tmppath_result_key, {})["call"] = error is None
    hooks = [hook.plugin_name for hook in item.ihook.pytest_runtest_makereport.get_hookimpls()]
    if any("conftest" in str(name) for name in hooks):

        def call() -> None:
            if error is not None:
                raise error

        for when, what in (("setup", lambda: None), ("call", call)):
            seen = CallInfo.from_call(what, when=when)  # type: ignore[arg-type]
            item.ihook.pytest_runtest_makereport(item=item, call=seen)


def _copied(table: dict[str, object]) -> dict[str, object]:
    out = {}
    for key, value in table.items():
        try:
            out[key] = copy.deepcopy(value)
        except Exception:  # any object may refuse to be copied; it is then shared
            out[key] = value
    return out


def file_of(test_id: str, root: str) -> str | None:
    """The file of a test id: `a/test_b.py::T::t[0]`, or unittest's `a.test_b.T.t`, which may be relative to a
    folder of the repository that is on the import path."""
    head = test_id.split("::", 1)[0]
    if head.endswith(".py") and os.path.exists(os.path.join(root, head)):
        return head
    base, module = module_of(test_id, root)
    return os.path.relpath(os.path.join(base, module.replace(".", os.sep) + ".py"), root) if module else None


def module_of(test_id: str, root: str) -> tuple[str, str]:
    """(folder of the import path, dotted module) of unittest's id; the module is "" when there is none."""
    parts = test_id.split("::", 1)[0].replace("/", ".").split(".")
    for base in (root, *(path for path in sys.path if path.startswith(root + os.sep))):
        for cut in range(len(parts), 0, -1):
            if os.path.exists(os.path.join(base, *parts[:cut]) + ".py"):
                return base, ".".join(parts[:cut])
    return root, ""


def matches(test_id: str, node_id: str) -> bool:
    """Whether a test id (pytest's or unittest's, maybe without parameters) names a collected item."""
    if test_id == node_id or node_id.startswith((test_id + "[", test_id + "::")):
        return True
    if "::" in test_id:
        return False
    dotted = node_id.replace(".py::", ".").replace("/", ".").replace("::", ".")
    # Ids of `unittest discover -s tests` are relative to that folder.
    return (
        dotted == test_id
        or dotted.startswith((test_id + ".", test_id + "["))
        or dotted.endswith("." + test_id)
    )


class NoCache:
    """pytest's cache, for plugins that ask the configuration for it: it remembers nothing."""

    def get(self, key: str, default: object) -> object:
        return default

    def set(self, key: str, value: object) -> None:
        pass

    def mkdir(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=name))

    makedir = mkdir


class QuietPlugin:
    """What every run of the engine has."""

    def pytest_configure(self, config: Any) -> None:
        if not hasattr(config, "cache"):
            config.cache = NoCache()

    pytest_configure.tryfirst = True  # type: ignore[attr-defined]


class CollectPlugin(QuietPlugin):
    """Hands the collected items to `run` instead of pytest's own loop."""

    def __init__(self, run: Callable[[Any, list[str]], None]) -> None:
        self.run = run
        self.parts: list[str] = []
        """See `Suite.parts`."""
        self.called = False
        self.errors: list[str] = []

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.errors.append(f"{report.nodeid}: {str(report.longrepr)[-400:]}")

    def pytest_runtestloop(self, session: Any) -> bool:
        self.called = True
        self.run(session, self.parts)
        return True

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Nobody but a subtest reports while a `Suite` runs tests."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.parts.append(str(getattr(crash, "message", report.longrepr))[:200])

    pytest_runtestloop.tryfirst = True  # type: ignore[attr-defined]


class ResultPlugin(QuietPlugin):
    """Outcomes of an ordinary run: node id to `passed`, `failed` or `skipped`."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.outcomes[report.nodeid] = "failed"
        elif type(report).__name__.lower() == "subtestreport":
            return  # one that is skipped skips no test
        elif report.when == "call" and report.passed:
            self.outcomes.setdefault(report.nodeid, "passed")
        elif report.skipped:
            self.outcomes.setdefault(report.nodeid, "skipped")


def names_in(items: Sequence[Any], failing: Sequence[int]) -> list[str]:
    """Names that the code of these tests reads."""
    names: list[str] = []
    for test in failing[:20]:
        code = getattr(getattr(items[test], "obj", None), "__code__", None)
        stack = [code] if code is not None else []
        while stack:
            one = stack.pop()
            names += one.co_names
            stack += [const for const in one.co_consts if hasattr(const, "co_names")]
    return list(dict.fromkeys(names))
