"""Warm runs give the verdict that a cold run gives, or none at all."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping

import pytest

from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.report import TestReport
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.testing.warm.zygote import pytest_arguments
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]

PACKAGE = {
    "pytest.ini": "[pytest]\n",
    "conftest.py": "import pytest\nfrom pkg.base import ONE\n\n@pytest.fixture\ndef one(): return ONE\n",
    "pkg/__init__.py": "from .base import ONE\nfrom .top import total, text\n",
    "pkg/base.py": "ONE = 1\ndef add(a, b): return a + b\n",
    "pkg/middle.py": "import json\nfrom .base import add\nTABLE = [add(i, i) for i in range(5)]\n",
    "pkg/top.py": (
        "import pathlib\nfrom .middle import TABLE\n"
        "def total(): return sum(TABLE)\n"
        "def text(): return (pathlib.Path(__file__).parent / 'data.txt').read_text()\n"
        "def lazily():\n    from . import late\n    return late.VALUE\n"
    ),
    "pkg/late.py": "VALUE = 7\n",
    "pkg/data.txt": "hello\n",
    "tests/test_it.py": (
        "import pkg\nfrom pkg.top import lazily\n"
        "def test_total(): assert pkg.total() == 20\n"
        "def test_text(): assert pkg.text() == 'hello\\n'\n"
        "def test_late(): assert lazily() == 7\n"
        "def test_one(one): assert one == 1\n"
    ),
}
EDITS: list[Mapping[str, str | None]] = [
    {},
    {"pkg/base.py": "ONE = 1\ndef add(a, b): return a - b\n"},
    {"pkg/base.py": "ONE = 2\ndef add(a, b): return a + b\n"},
    {"pkg/middle.py": "import json\nfrom .base import add\nTABLE = [add(i, 1) for i in range(5)]\n"},
    {"pkg/late.py": "VALUE = 8\n"},
    {"pkg/data.txt": "other\n"},
    {"tests/test_it.py": "def test_new(): assert 0\n"},
    {"conftest.py": "import pytest\n@pytest.fixture\ndef one(): return 5\n"},
    {"pkg/top.py": "this is not python\n"},
    {"pkg/late.py": None},
    {"pkg/json.py": "x = 1\n"},
    {"json.py": "raise ImportError('shadowed')\n"},
    {"tests/test_more.py": "def test_more(): assert 1\n"},
    {"tests/conftest.py": "import pytest\n@pytest.fixture\ndef one(): return 9\n"},
    {"pytest.ini": "[pytest]\npython_functions = check_*\n"},
    {"pkg/base.py": "ONE = 1\ndef add(a, b): return a * b\n", "pkg/late.py": "VALUE = 9\n"},
]


def verdict(report: TestReport) -> Mapping[str, str]:
    return {test: result.outcome.value for test, result in report.results.items()}


def edit(workspace: Workspace, change: Mapping[str, str | None]) -> None:
    for path, text in change.items():
        if text is None:
            assert workspace.exec(f"rm {path}").exit_code == 0
        else:
            workspace.write_text(path, text)


@pytest.mark.parametrize(("kind", "edits"), [("plain", EDITS[1:5]), ("auto", EDITS)])
def test_a_warm_verdict_is_the_cold_verdict(
    kind: str, edits: list[Mapping[str, str | None]], make: Maker
) -> None:
    """Every kind of edit, some of them twice: the second time a frozen state exists that must not be used
    for another tree. All edits of one file have the same size and come within a second."""
    workspace, project = make(PACKAGE, kind=kind)
    order = random.Random(4)
    with TestRunner(project) as runner:
        assert runner.prime(workspace, ["tests"]) == ""
        warm: dict[int, list[TestReport]] = {}
        for index in [*range(len(edits)), *order.sample(range(len(edits)), len(edits) // 2)]:
            with workspace.fork() as fork:
                edit(fork, edits[index])
                warm.setdefault(index, []).append(runner.run(fork, ["tests"]))
        for index, reports in warm.items():
            with workspace.fork() as fork:
                edit(fork, edits[index])
                cold = runner.run(fork, ["tests"], cold=True)
            assert not cold.warm
            for report in reports:
                assert verdict(report) == verdict(cold), edits[index]
        assert sum(report.warm for reports in warm.values() for report in reports) >= len(edits)


def test_a_run_continues_from_just_before_the_changed_file(make: Maker) -> None:
    workspace, project = make(PACKAGE)
    with TestRunner(project) as runner:
        assert runner.prime(workspace, ["tests"]) == ""
        assert runner._warm is not None
        zygote = runner._warm._all[0]
        origins = []
        for value in (3, 4):
            with workspace.fork() as fork:
                fork.write_text("pkg/middle.py", f"TABLE = [{value}]\n")
                report = runner.run(fork, ["tests"])
                assert report.warm
                assert verdict(report)["tests/test_it.py::test_total"] == "failed"
                origins.append(zygote.last_origin)
        assert origins[1] == "before pkg/middle.py"


def test_tests_that_write_into_the_tree_are_run_cold(make: Maker) -> None:
    files = {**PACKAGE, "tests/test_it.py": "def test_w(): open('left.txt', 'a').write('x')\n"}
    workspace, project = make(files)
    with TestRunner(project) as runner:
        assert "write into" in runner.prime(workspace, ["tests"])
        assert not runner.run(workspace, ["tests"]).warm


def test_a_crash_or_an_endless_loop_has_no_warm_verdict(make: Maker) -> None:
    workspace, project = make(PACKAGE)
    with TestRunner(project) as runner:
        assert runner.prime(workspace, ["tests"]) == ""
        with workspace.fork() as fork:
            fork.write_text("pkg/late.py", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
            crashed = runner.run(fork, ["tests"])
        assert not crashed.warm
        assert verdict(crashed)["tests/test_it.py::test_late"] == "error"
        with workspace.fork() as fork:
            fork.write_text("pkg/late.py", "while True: pass\n")
            assert runner.run(fork, ["tests"], timeout=4).timed_out
        again = runner.run(workspace, ["tests"])
        assert again.warm
        assert set(verdict(again).values()) == {"passed"}


def test_what_a_test_leaves_behind_does_not_reach_the_next_run(make: Maker) -> None:
    files = {
        **PACKAGE,
        "tests/test_it.py": (
            "import os, subprocess, sys, time, pkg\n"
            "SEEN = []\n"
            "def test_memory():\n    SEEN.append(1)\n    assert SEEN == [1] and pkg.ONE == 1\n    pkg.ONE = 5\n"
            "def test_environment():\n    assert 'LEFT' not in os.environ\n    os.environ['LEFT'] = '1'\n"
            "def test_daemon():\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\n"
        ),
    }
    workspace, project = make(files)
    with TestRunner(project) as runner:
        runner.prime(workspace, ["tests"])
        for _ in range(3):
            assert set(verdict(runner.run(workspace, ["tests"])).values()) == {"passed"}


def test_threads_share_a_runner(make: Maker) -> None:
    workspace, project = make(PACKAGE)
    found: dict[int, Mapping[str, str]] = {}
    with TestRunner(project) as runner:
        assert runner.prime(workspace, ["tests"]) == ""

        def work(number: int) -> None:
            with workspace.fork() as fork:
                fork.write_text("pkg/late.py", f"VALUE = {number}\n")
                found[number] = verdict(runner.run(fork, ["tests"]))

        threads = [threading.Thread(target=work, args=(number,)) for number in (5, 6, 7, 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {n: v["tests/test_it.py::test_late"] for n, v in found.items()} == {
        5: "failed",
        6: "failed",
        7: "passed",
        8: "failed",
    }


def test_the_first_run_of_a_selection_is_cold_and_final_runs_always_are(make: Maker) -> None:
    workspace, project = make(PACKAGE)
    with TestRunner(project) as runner:
        seen = [runner.run(workspace, ["tests"]).warm for _ in range(3)]
        assert seen == [False, False, True]
        assert not runner.run(workspace, ["tests"], cold=True).warm
    with TestRunner(project, warm=False) as never:
        assert not any(never.run(workspace, ["tests"]).warm for _ in range(2))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python -m pytest -q tests", (["-q", "tests"], True)),
        ("pytest -k 'a or b'", (["-k", "a or b"], False)),
        ("cd x && pytest", None),
        ("python -bb -m pytest", None),
        ("FOO=1 pytest", None),
        ("tox", None),
    ],
)
def test_which_commands_can_be_warm(command: str, expected: object) -> None:
    assert pytest_arguments(command) == expected


@pytest.mark.docker
def test_in_a_container_runs_are_warm_too(make_in_container: Maker) -> None:
    workspace, project = make_in_container(PACKAGE)
    with TestRunner(project) as runner:
        assert runner.prime(workspace, ["tests"]) == ""
        for change in EDITS[:6]:
            with workspace.fork() as fork:
                edit(fork, change)
                warm, cold = runner.run(fork, ["tests"]), runner.run(fork, ["tests"], cold=True)
            assert warm.warm
            assert verdict(warm) == verdict(cold)
