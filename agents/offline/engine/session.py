"""Session: one run of the engine, from a request file to a result file."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import guard
from .candidate import Candidate
from .child import confirmed, in_child
from .chunk import SourceFile
from .fresh import FreshRuns, serve
from .localise import localise
from .plan import Pace
from .plugins import preload
from .pool import Pool
from .search import Search
from .soften import Recorder, install, soften
from .spectrum import Spectrum
from .suite import CollectPlugin, Suite, Unit, Verdict, file_of, matches, names_in, pytest_arguments
from .swap import Swapper
from .unittests import collect
from .worker import Goal, Worker

if TYPE_CHECKING:
    from .shapes import Probe, RepairRequest, Result, Seen, Traced

_HANG_S = 6.0
"""Processor seconds after which a failing test is taken for one that does not end."""
_LONG_S = 0.5
"""Failing tests that take longer come last: most candidates fail before."""
_NEIGHBOURS_S = 8.0
"""Processor seconds for the tests beside the failing ones."""
_TRACE_S = 20.0
_MOST_NEIGHBOURS = 400


def nearest(others: list[int], failing: list[int], ids: list[str]) -> list[int]:
    """Tests of the same files first, those next to a failing one before all; so many at most."""
    files = {ids[i].partition("::")[0] for i in failing}

    def distance(test: int) -> tuple[bool, int, int]:
        return (ids[test].partition("::")[0] not in files, min(abs(test - f) for f in failing), test)

    return sorted(others, key=distance)[:_MOST_NEIGHBOURS]


class Session:
    """Lives in the process that collects the tests."""

    def __init__(self, request: RepairRequest, fresh: FreshRuns, workers: int, memory: int) -> None:
        self.request = request
        self.workers = workers
        self.memory = memory
        self.cpu = time.process_time()
        self.root: str = request["root"]
        self.fresh = fresh
        self.started = time.monotonic()
        self.collect_s = 1.0
        self.deadline = self.started + request["time_limit_s"]
        self.files: dict[str, SourceFile] = {}
        self.judge_in_fork: Callable[[Candidate, float], bool] = lambda candidate, limit: False
        self.result: Result = {"status": "error", "message": "", "plausible": [], "stats": {}}

    def load(self, paths: list[str]) -> None:
        for path in paths:
            if path in self.files:
                continue
            try:
                with open(os.path.join(self.root, path), encoding="utf-8", newline="") as handle:
                    self.files[path] = SourceFile(path, handle.read())
            except (OSError, SyntaxError, ValueError, RecursionError):
                continue

    def run(self, session: Any, parts: list[str]) -> None:
        """pytest's run loop. Everything that touches the project happens in forks of this process."""
        self.collect_s = time.process_time() - self.cpu
        recorder = Recorder()
        install(recorder)
        suite = Suite(session.items, recorder, parts)
        ids = [item.nodeid for item in suite.items]
        failing = [i for i, node in enumerate(ids) if any(matches(t, node) for t in self.request["failing"])]
        if not failing:
            self.without_collection()
            return
        chosen = set(failing)
        others = nearest([i for i in range(len(ids)) if i not in chosen], failing, ids)
        imported = self._imported()
        self.load(sorted(path for path in self.request["editable"] if path in imported))
        swapper = Swapper(self.root, self.files)
        swapper.index()
        if self.request.get("soft", True):
            self._soften(suite)
        fence = guard.Fence(self.root, self.request["scratch"])
        probe: Probe | None = in_child(lambda: self._probe(suite, failing, others, fence), 120.0)
        if probe is None:  # not even the alarm gets through: a call that never returns to the interpreter
            probe = {
                "failing": failing, "passing": [], "red": [[test, 0, 0] for test in failing], "green": [],
                "seconds": 0.1, "failing_s": 0.1, "reuse": True, "writes": [], "errors": [],
            }  # fmt: skip
        fence.allowed = set(probe["writes"])
        if not probe["failing"]:
            self.result["status"] = "nothing-fails"
            self.result["message"] = "none of the named tests fails in this checkout"
            return
        self._search(suite, swapper, fence, probe, ids)

    def _search(
        self, suite: Suite, swapper: Swapper, fence: guard.Fence, probe: Probe, ids: list[str]
    ) -> None:
        failing, passing = probe["failing"], probe["passing"]
        seen: Traced | None = in_child(lambda: self._spectrum(suite, failing, passing, swapper), 120.0)
        spectrum = Spectrum.of(seen or self._journaled(), self.files)
        spectrum.errors = list(probe["errors"])
        if spectrum.types:
            spectrum.add_named(names_in(suite.items, failing), self.files)
        suite.keep_parameters()
        red, green = ({Unit(*unit) for unit in probe[name]} for name in ("red", "green"))
        reached = {
            test: {(path, line) for path, line in lines} for test, lines in (seen["reached"] if seen else ())
        }
        goal = Goal(failing, passing, red, green, reached)
        pool = Pool(
            lambda link: Worker(link, suite, goal, swapper, fence, probe["reuse"], self.memory).serve(),
            self.workers,
            lambda: None,
        )

        def judge(candidate: Candidate, limit: float) -> bool:
            work = lambda: confirmed(suite, goal, swapper, fence, candidate, limit, self.memory)  # noqa: E731
            return bool(in_child(work, limit + 5))

        self.judge_in_fork = judge
        pristine = guard.Checkout(self.root, self.request["tracked"])
        keep = [ids[i] for i in passing]
        named = [ids[i] for i in failing]
        pace = Pace(probe["failing_s"], probe["seconds"], seen["events"] if seen else None)
        search = Search(self, pool, spectrum, named, keep, pace, pristine)
        try:
            search.run()
        finally:
            pool.close()
        search.report()
        stats = self.result["stats"]
        stats["mode"] = "reuse" if probe["reuse"] else "fork"
        stats["forks"], stats["deaths"] = pool.forks, pool.deaths

    def without_collection(self) -> None:
        """The failing tests cannot be collected: a fault at import time. Every candidate is a fresh run."""
        names = list(self.request["failing"])
        seen = self.fresh.run(
            [{"arguments": names, "overrides": {}, "trace": self.request["editable"], "limit": 60.0}]
        )[0]
        if not seen or not seen["scores"]:
            self.result["status"] = "not-collected"
            self.result["message"] = (
                "the failing tests were not found, or fail before any file that may be edited"
            )
            return
        self.load(sorted({path for path, _, _ in seen["scores"]}))
        pristine = guard.Checkout(self.root, self.request["tracked"])
        search = Search(self, None, Spectrum.of(seen, self.files), names, [], Pace(1.0, 1.0), pristine)
        search.run()
        search.report()

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

    def _probe(self, suite: Suite, failing: list[int], others: list[int], fence: guard.Fence) -> Probe:
        """Run the failing tests twice and their neighbours once on the unchanged code."""
        fence.install()
        fence.learning = True
        first = self._first(suite, failing)
        met = list(suite.recorder.met)
        hung = {test for test in failing if first[test].error == "Stop"}
        bad = [test for test in failing if not first[test].passed and not first[test].skipped]
        seconds = max(0.0005, sum(first[t].seconds for t in bad if t not in hung))
        named = [test for test in failing if first[test].passed]
        passing: list[int] = []
        green: list[Unit] = []
        spent = 0.0
        for test in [*named, *others]:
            if spent > _NEIGHBOURS_S:
                break
            verdict = suite.bounded(test, _NEIGHBOURS_S)
            spent += verdict.seconds
            if verdict.passed:
                passing.append(test)
                green += [unit for unit, good in verdict.units.items() if good]
        steady = [test for test in bad if test not in hung] if seconds < 5 else []
        reuse = self._repeatable(suite, first, steady, passing[:50] if seconds < 5 else [])
        red = [unit for test in bad for unit, good in first[test].units.items() if not good]
        green += [unit for test in bad for unit, good in first[test].units.items() if good]
        bad.sort(key=lambda test: (test in hung, first[test].seconds > _LONG_S, test))
        errors = [first[test].error.partition(":")[0] for test in bad] + met
        return {
            "failing": bad, "passing": passing, "red": red, "green": green, "seconds": seconds + spent,
            "failing_s": seconds, "reuse": reuse, "writes": sorted(fence.allowed), "errors": list(dict.fromkeys(errors)),
        }  # fmt: skip

    @staticmethod
    def _first(suite: Suite, failing: list[int]) -> dict[int, Verdict]:
        """What the failing tests come to; once some have hung, the others are given less time."""
        first: dict[int, Verdict] = {}
        hang, wasted = _HANG_S, 0.0
        for test in failing:
            if wasted > 8.0:
                first[test] = Verdict(False, False, {Unit(test, 0, 0): False}, "Stop", hang)
                continue
            first[test] = suite.bounded(test, hang)
            if first[test].error == "Stop":
                wasted += hang
                hang = 0.2
        return first

    @staticmethod
    def _repeatable(suite: Suite, first: dict[int, Verdict], steady: list[int], passing: list[int]) -> bool:
        """Whether tests come to the same when they are run again in one process."""
        for test in steady:
            again = suite.bounded(test, 10.0)
            if again.units != first[test].units or again.error != first[test].error:
                return False
        return all(suite.bounded(test, 10.0).passed for test in passing)

    def _spectrum(self, suite: Suite, failing: list[int], passing: list[int], swapper: Swapper) -> Traced:
        start = time.process_time()
        with open(self._journal, "w", encoding="utf-8") as journal:
            spectrum = localise(
                suite,
                failing,
                passing,
                swapper.path_of,
                lambda: time.process_time() - start > _TRACE_S,
                journal,
            )
        return spectrum.to_json()

    @property
    def _journal(self) -> str:
        return os.path.join(self.request["scratch"], "lines.txt")

    def _journaled(self) -> Seen:
        """The lines that a run which never came back had reached."""
        lines: list[tuple[str, int, float]] = []
        try:
            with open(self._journal, encoding="utf-8") as handle:
                for entry in handle.read().rpartition("\n#\n")[2].splitlines():
                    path, _, line = entry.rpartition(":")
                    if line.isdigit():
                        lines.append((path, int(line), 1.0))
        except OSError:
            pass
        return {"scores": lines, "types": [], "attributes": {}}


def main(request_path: str) -> int:
    """Run a `RepairRequest`, read from a file; the `Result` goes to the file that it names."""
    with open(request_path, encoding="utf-8") as handle:
        request: RepairRequest = json.load(handle)
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
        preload(root)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        ours.close()
        return serve(theirs, pid, options, root, request["scratch"])
    theirs.close()
    workers, memory = guard.share(request["workers"], guard.granted())
    session = Session(request, FreshRuns(ours, request["scratch"], workers, memory), workers, memory)
    plugin = CollectPlugin(session.run)
    try:
        if pytest is None:
            plugin.pytest_runtestloop(collect(request["failing"], root))
        else:
            pytest.main([*options, *files], plugins=[plugin])
        if not plugin.called:
            session.without_collection()
    except BaseException as error:  # whatever the project's own configuration raises: it is the answer
        session.result["message"] = session.result["message"] or f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        if plugin.errors and not session.result["message"]:
            session.result["message"] = plugin.errors[0][:400]
        if session.result["status"] == "error" and not session.result["message"]:
            session.result["message"] = "the search broke off before its first candidate"
        session.result["stats"]["seconds"] = time.monotonic() - session.started
        _write(request, session.result)
        sys.stdout.flush()
        os._exit(0)


def _write(request: RepairRequest, result: Result) -> None:
    part = request["result"] + ".part"
    with open(part, "w", encoding="utf-8") as handle:
        json.dump(result, handle)
    os.replace(part, request["result"])
