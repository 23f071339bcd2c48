"""Session: one run of the engine, from a request file to a result file."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from . import guard
from .candidate import Candidate
from .child import confirmed, in_child
from .chunk import SourceFile
from .fresh import FreshRuns, serve
from .localise import localise
from .pool import Pool
from .search import Search
from .soften import Recorder, install, soften
from .spectrum import Spectrum
from .suite import CollectPlugin, Suite, Unit, Verdict, file_of, matches, pytest_arguments
from .swap import Swapper
from .unittests import collect
from .worker import Goal, Worker


class Session:
    """Lives in the process that collects the tests. See `main` for the request's fields."""

    def __init__(self, request: dict[str, Any], fresh: FreshRuns) -> None:
        self.request = request
        self.root: str = request["root"]
        self.fresh = fresh
        self.started = time.monotonic()
        self.collect_s = 1.0
        self.deadline = self.started + request["time_limit_s"]
        self.files: dict[str, SourceFile] = {}
        self.judge_in_fork: Callable[[Candidate, float], bool] = lambda candidate, limit: False
        self.result: dict[str, Any] = {"status": "error", "message": "", "plausible": [], "stats": {}}

    def load(self, paths: list[str]) -> None:
        for path in paths:
            if path in self.files:
                continue
            try:
                with open(os.path.join(self.root, path), encoding="utf-8", newline="") as handle:
                    self.files[path] = SourceFile(path, handle.read())
            except (OSError, SyntaxError, ValueError, RecursionError):
                continue

    def run(self, session: Any) -> None:
        """pytest's run loop. Everything that touches the project happens in forks of this process."""
        self.collect_s = time.monotonic() - self.started
        recorder = Recorder()
        install(recorder)
        suite = Suite(session.items, recorder)
        ids = [item.nodeid for item in suite.items]
        failing = [i for i, node in enumerate(ids) if any(matches(t, node) for t in self.request["failing"])]
        if not self.request["failing"]:
            failing = list(range(len(ids)))
        others = [i for i in range(len(ids)) if i not in set(failing)]
        if not failing:
            self.without_collection()
            return
        imported = self._imported()
        self.load(sorted(path for path in self.request["editable"] if path in imported))
        swapper = Swapper(self.root, self.files)
        swapper.index()
        if self.request.get("soft", True):
            self._soften(suite)
        fence = guard.Fence(self.root, self.request["scratch"])
        probe = in_child(lambda: self._probe(suite, failing, others, fence), min(120.0, self._left() / 4))
        if probe is None:  # not even the alarm gets through: a call that never returns to the interpreter
            probe = {
                "failing": failing, "passing": [], "red": [[test, 0, 0] for test in failing], "green": [],
                "seconds": 0.1, "reuse": True, "writes": [],
            }  # fmt: skip
        fence.allowed = set(probe["writes"])
        red = {Unit(*unit) for unit in probe["red"]}
        green = {Unit(*unit) for unit in probe["green"]}
        failing, passing = probe["failing"], probe["passing"]
        if not failing:
            self.result["status"] = "nothing-fails"
            self.result["message"] = "none of the named tests fails in this checkout"
            return
        seen = in_child(lambda: self._spectrum(suite, failing, passing, swapper), min(60.0, self._left() / 4))
        spectrum = Spectrum.of(seen or self._journaled(), self.files)
        suite.keep_parameters()
        goal = Goal(failing, passing, red, green)
        pool = Pool(
            lambda link: Worker(link, suite, goal, swapper, fence, probe["reuse"]).serve(),
            self.request["workers"],
            lambda: None,
        )

        def judge(candidate: Candidate, limit: float) -> bool:
            return bool(in_child(lambda: confirmed(suite, goal, swapper, fence, candidate, limit), limit + 5))

        self.judge_in_fork = judge
        pristine = guard.Checkout(self.root, self.request["tracked"])
        keep = [ids[i] for i in passing]
        search = Search(self, pool, spectrum, [ids[i] for i in failing], keep, probe["seconds"], pristine)
        try:
            search.run()
        finally:
            pool.close()
        search.report()
        self.result["stats"].update(
            mode="reuse" if probe["reuse"] else "fork", forks=pool.forks, deaths=pool.deaths
        )

    def without_collection(self) -> None:
        """The failing tests cannot be collected: a fault at import time. Every candidate is a fresh run."""
        names = list(self.request["failing"])
        seen = self.fresh.run(
            [{"arguments": names, "trace": self.request["editable"], "limit": min(30.0, self._left() / 3)}]
        )[0]
        if not seen or not seen["scores"]:
            self.result["status"] = "not-collected"
            self.result["message"] = (
                "the failing tests were not found, or fail before any file that may be edited"
            )
            return
        self.load(sorted({path for path, _, _ in seen["scores"]}))
        pristine = guard.Checkout(self.root, self.request["tracked"])
        search = Search(self, None, Spectrum.of(seen, self.files), names, [], 1.0, pristine)
        search.run()
        search.report()

    def _left(self) -> float:
        return max(0.5, self.deadline - time.monotonic())

    def _imported(self) -> set[str]:
        """Repository paths of the modules that are loaded (tests' imports included)."""
        found: set[str] = set()
        root = os.path.realpath(self.root) + os.sep
        for module in list(sys.modules.values()):
            name = getattr(module, "__file__", None)
            if isinstance(name, str):
                real = os.path.realpath(name)
                if real.startswith(root):
                    found.add(os.path.relpath(real, root))
        return found

    def _soften(self, suite: Suite) -> None:
        import gc
        import types

        paths = {str(getattr(item, "fspath", "")) for item in suite.items}
        by_path: dict[str, list[types.FunctionType]] = {path: [] for path in paths}
        for thing in gc.get_objects():
            if type(thing) is types.FunctionType and thing.__code__.co_filename in by_path:
                by_path[thing.__code__.co_filename].append(thing)
        for path, functions in by_path.items():
            soften(path, functions)

    def _probe(
        self, suite: Suite, failing: list[int], others: list[int], fence: guard.Fence
    ) -> dict[str, Any]:
        """Run the failing tests twice and the others once (as time allows) on the unchanged code."""
        start = time.monotonic()
        fence.install()
        fence.learning = True
        budget = min(8.0, self._left() / 6)
        first: dict[int, Verdict] = {}
        hang = min(2.0, max(0.5, self._left() / 20))
        for test in failing:
            if hang < 0.2 and time.monotonic() - start > budget:  # as the others that hung
                first[test] = Verdict(False, False, {Unit(test, 0, 0): False}, "Stop", hang)
                continue
            first[test] = suite.bounded(test, hang)
            if first[test].error == "Stop":
                hang = 0.1
        hung = {test for test in failing if first[test].error == "Stop"}
        bad = [test for test in failing if not first[test].passed and not first[test].skipped]
        seconds = max(0.0005, sum(first[t].seconds for t in bad if t not in hung))
        named = [test for test in failing if first[test].passed]
        passing: list[int] = []
        green: list[Unit] = []
        spent = 0.0
        for test in [*named, *others]:
            if time.monotonic() - start > budget:
                break
            verdict = suite.bounded(test, max(0.5, budget))
            if verdict.passed:
                passing.append(test)
                spent += verdict.seconds
                green += [unit for unit, good in verdict.units.items() if good]
        reuse = True
        if seconds < 5:
            steady = [test for test in bad if test not in hung]
            again = {test: suite.bounded(test, 10.0) for test in steady + passing[:50]}
            for test in steady:
                reuse = (
                    reuse
                    and again[test].units == first[test].units
                    and again[test].error == first[test].error
                )
            reuse = reuse and all(again[test].passed for test in passing[:50])
        red = [unit for test in bad for unit, good in first[test].units.items() if not good]
        green += [unit for test in bad for unit, good in first[test].units.items() if good]
        bad.sort(key=lambda test: (test in hung, first[test].seconds))
        return {
            "failing": bad, "passing": passing, "red": red, "green": green, "seconds": seconds + spent,
            "reuse": reuse, "writes": sorted(fence.allowed),
        }  # fmt: skip

    def _spectrum(
        self, suite: Suite, failing: list[int], passing: list[int], swapper: Swapper
    ) -> dict[str, Any]:
        start = time.monotonic()
        budget = min(10.0, self._left() / 8)
        with open(self._journal, "w", encoding="utf-8") as journal:
            spectrum = localise(
                suite, failing, passing, swapper.path_of, lambda: time.monotonic() - start > budget, journal
            )
        return spectrum.to_json()

    @property
    def _journal(self) -> str:
        return os.path.join(self.request["scratch"], "lines.txt")

    def _journaled(self) -> dict[str, Any]:
        """The lines that a run which never came back had reached."""
        lines: list[list[Any]] = []
        try:
            with open(self._journal, encoding="utf-8") as handle:
                for entry in handle.read().rpartition("\n#\n")[2].splitlines():
                    path, _, line = entry.rpartition(":")
                    if line.isdigit():
                        lines.append([path, int(line), 1.0])
        except OSError:
            pass
        return {"scores": lines, "types": [], "attributes": {}}


def main(request_path: str) -> int:
    """Run a request. Its fields: root, failing (test ids), editable and tracked (paths), time_limit_s, k,
    seed, workers, hints {files, functions, lines, words}, arguments (for pytest), tops (folders, relative
    to the root, that unittest imports tests from), scratch, result."""
    with open(request_path, encoding="utf-8") as handle:
        request = json.load(handle)
    if sys.version_info < (3, 8):
        message = f"the search needs Python 3.8 or newer, and the tests run with {sys.version.split()[0]}"
        _write(request, {"status": "old-python", "message": message, "plausible": [], "stats": {}})
        return 1
    root = request["root"]
    os.chdir(root)
    sys.path[:0] = [os.path.join(root, folder) for folder in request.get("tops", ())]
    sys.path.insert(0, root)
    try:
        import pytest
    except ImportError:
        pytest = None
    if pytest is None and any("::" in test for test in request["failing"]):
        _write(
            request,
            {
                "status": "no-pytest",
                "message": "pytest is not installed for this interpreter",
                "plausible": [],
                "stats": {},
            },
        )
        return 1
    files = sorted({f for f in (file_of(t, root) for t in request["failing"]) if f})
    # Ids are relative to the root of the repository, whatever a project below it says.
    arguments = [*request.get("arguments", ()), f"--rootdir={root}"]
    options = pytest_arguments((), arguments) if pytest is not None else []
    if pytest is not None:
        preload()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        ours.close()
        return serve(theirs, pid, options, root, request["scratch"])
    theirs.close()
    session = Session(request, FreshRuns(ours, request["scratch"], request["workers"]))
    plugin = CollectPlugin(session.run)
    try:
        if pytest is None:
            plugin.pytest_runtestloop(collect(request["failing"], root))
        else:
            pytest.main([*options, *files], plugins=[plugin])
        if not plugin.called:
            session.without_collection()
    finally:
        if plugin.errors and not session.result["message"]:
            session.result["message"] = plugin.errors[0][:400]
        if session.result["status"] == "error" and not session.result["message"]:
            session.result["message"] = "the search broke off before its first candidate"
        session.result["stats"]["seconds"] = time.monotonic() - session.started
        _write(request, session.result)
        sys.stdout.flush()
        os._exit(0)


def preload() -> None:
    """Import pytest's plugins before the first fork, so that every fresh run finds them loaded."""
    import importlib
    import pkgutil

    import _pytest

    names = [f"_pytest.{module.name}" for module in pkgutil.iter_modules(_pytest.__path__)]
    try:
        from importlib.metadata import entry_points

        found = entry_points()
        group = found.select(group="pytest11") if hasattr(found, "select") else found.get("pytest11", ())
        names += [entry.value.partition(":")[0] for entry in group]
    except (ImportError, ValueError):
        pass
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # a plugin that cannot be imported fails, or not, in pytest itself
            continue


def _write(request: dict[str, Any], result: dict[str, Any]) -> None:
    part = request["result"] + ".part"
    with open(part, "w", encoding="utf-8") as handle:
        json.dump(result, handle)
    os.replace(part, request["result"])
