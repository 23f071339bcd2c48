"""Cold runs: results test by test, whatever the repository's options say, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from swe_agent.tools.errors import ToolError
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.testing.report import Outcome, compare
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]

SUITE = """
import pytest, unittest, os

def test_passes(): pass
def test_fails(): assert 1 == 2, "one is not two"
def test_skips(): pytest.skip("not here")
@pytest.mark.xfail
def test_expected(): assert False
@pytest.mark.xfail
def test_unexpected(): pass
@pytest.fixture
def broken(): raise RuntimeError("no fixture")
def test_errors(broken): pass
@pytest.fixture
def late():
    yield
    raise RuntimeError("too late")
def test_teardown(late): pass
@pytest.mark.parametrize("v", ["a b", "ü", "x/y", "[q]", "a::b"])
def test_names(v): assert v
class TestGroup(unittest.TestCase):
    def test_method(self): self.assertEqual(1, 1)
"""

EXPECTED = {
    "test_passes": Outcome.PASSED,
    "test_fails": Outcome.FAILED,
    "test_skips": Outcome.SKIPPED,
    "test_expected": Outcome.XFAILED,
    "test_unexpected": Outcome.XPASSED,
    "test_errors": Outcome.ERROR,
    "test_teardown": Outcome.ERROR,
    "TestGroup::test_method": Outcome.PASSED,
}


def outcomes(report: object) -> Mapping[str, str]:
    return {test: result.outcome.value for test, result in report.results.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["plain", "namespace"])
def test_every_outcome_has_its_name_and_the_tree_stays_clean(kind: str, make: Maker, tmp_path: Path) -> None:
    files = {"tests/test_it.py": SUITE, "setup.cfg": "[tool:pytest]\naddopts = -x --maxfail=1\n"}
    workspace, project = make(files, kind=kind)
    before = workspace.tree_hash()
    report = TestRunner(project, log_dir=tmp_path / "logs").run(workspace)
    for name, outcome in EXPECTED.items():
        assert report.results[f"tests/test_it.py::{name}"].outcome is outcome, name
    assert len([t for t in report.results if "test_names[" in t]) == 5
    assert "one is not two" in report.results["tests/test_it.py::test_fails"].message
    assert "no fixture" in report.results["tests/test_it.py::test_errors"].message
    assert report.results["tests/test_it.py::test_skips"].message.startswith("Skipped: not here")
    assert report.exit_code == 1
    assert not report.warm
    assert report.log_path is not None
    assert "one is not two" in Path(report.log_path).read_text()
    assert workspace.tree_hash() == before
    left = workspace.exec(
        "git status --porcelain --ignored; find . -name '*.pyc' -not -path './.git/*'"
    ).output
    assert left == ""


def test_a_selection_by_id_class_file_and_folder(make: Maker) -> None:
    workspace, project = make({"tests/test_it.py": SUITE, "tests/sub/test_other.py": "def test_o(): pass\n"})
    runner = TestRunner(project)
    whole = runner.run(workspace)
    chosen = sorted(test for test in whole.results if "test_names[" in test or "method" in test)
    some = runner.run(workspace, chosen, cold=True)
    assert sorted(some.results) == chosen
    assert some.unknown == ()
    both = runner.run(workspace, ["tests/test_it.py::test_names", "tests/test_it.py::TestGroup"])
    assert len(both.results) == 6
    assert set(runner.run(workspace, ["tests/sub"]).results) == {"tests/sub/test_other.py::test_o"}
    assert len(runner.run(workspace, ["./tests/test_it.py"]).results) == len(whole.results) - 1


def test_unknown_names_are_told_and_do_not_hide_the_rest(make: Maker) -> None:
    workspace, project = make({"tests/test_it.py": SUITE})
    runner = TestRunner(project)
    report = runner.run(
        workspace, ["tests/test_it.py::test_passes", "tests/test_it.py::test_gone", "no/file.py"]
    )
    assert outcomes(report) == {"tests/test_it.py::test_passes": "passed"}
    assert set(report.unknown) >= {"tests/test_it.py::test_gone", "no/file.py"}
    assert any("test_gone" in error for error in report.collection_errors)
    nothing = runner.run(workspace, ["no/file.py"])
    assert nothing.results == {}
    assert nothing.unknown == ("no/file.py",)
    for name in ("-x", "../up.py", "/etc/passwd", "", "a\nb"):
        with pytest.raises(ToolError):
            runner.run(workspace, [name])


def test_a_file_that_cannot_be_collected_does_not_hide_the_rest(make: Maker) -> None:
    files = {"test_good.py": "def test_ok(): pass\n", "test_bad.py": "import no_such_module_anywhere\n"}
    workspace, project = make({**files, "pytest.ini": "[pytest]\n"})
    runner = TestRunner(project)
    baseline = runner.measure_baseline(workspace)
    report = runner.run(workspace)
    assert outcomes(report) == {"test_good.py::test_ok": "passed", "test_bad.py": "error"}
    assert any("no_such_module_anywhere" in error for error in report.collection_errors)
    workspace.write_text("test_bad.py", "def test_now(): pass\n")
    comparison = compare(baseline, runner.run(workspace))
    assert comparison.fixed == {"test_bad.py"}
    assert comparison.new_passing == {"test_bad.py::test_now"}
    assert not comparison.still_failing


def test_options_that_would_falsify_are_off(make: Maker) -> None:
    workspace, project = make(
        {
            "test_it.py": "def test_a(): assert 0\ndef test_b(): assert 0\ndef test_c(): pass\n",
            "pytest.ini": "[pytest]\naddopts = -x --lf --junitxml=report.xml -p no:terminal\n",
        }
    )
    report = TestRunner(project).run(workspace)
    assert outcomes(report) == {
        "test_it.py::test_a": "failed",
        "test_it.py::test_b": "failed",
        "test_it.py::test_c": "passed",
    }
    assert workspace.exec("ls report.xml").exit_code != 0


def test_a_crash_and_a_timeout_keep_what_was_done(make: Maker) -> None:
    workspace, project = make(
        {
            "test_it.py": "import os, time\ndef test_a(): pass\ndef test_b(): os._exit(3)\n",
            "test_slow.py": "import time\ndef test_c(): pass\ndef test_d(): time.sleep(60)\n",
            "pytest.ini": "[pytest]\n",
        }
    )
    runner = TestRunner(project)
    crashed = runner.run(workspace, ["test_it.py"])
    assert outcomes(crashed) == {"test_it.py::test_a": "passed", "test_it.py::test_b": "error"}
    assert "did not finish" in crashed.results["test_it.py::test_b"].message
    slow = runner.run(workspace, ["test_slow.py"], timeout=6)
    assert slow.timed_out
    assert outcomes(slow) == {"test_slow.py::test_c": "passed", "test_slow.py::test_d": "error"}


def test_processes_that_tests_start_do_not_report(make: Maker) -> None:
    """A test that runs pytest itself must see neither our plugin nor our report."""
    workspace, project = make(
        {
            "test_it.py": (
                "import os, subprocess, sys\n"
                "def test_outer(tmp_path):\n"
                "    (tmp_path / 'test_inner.py').write_text('def test_inner(): assert 0')\n"
                "    assert not [k for k in os.environ if 'SWE_AGENT' in k or k == 'PYTEST_ADDOPTS']\n"
                "    done = subprocess.run([sys.executable, '-m', 'pytest', '-q', str(tmp_path)])\n"
                "    assert done.returncode == 1\n"
            ),
            "pytest.ini": "[pytest]\n",
        }
    )
    assert outcomes(TestRunner(project).run(workspace)) == {"test_it.py::test_outer": "passed"}


def test_ids_are_relative_to_the_root_wherever_pytest_starts(make: Maker) -> None:
    files = {
        "backend/pytest.ini": "[pytest]\n",
        "backend/tests/test_it.py": "def test_a(): pass\ndef test_b(): pass\n",
    }
    workspace, project = make(files, "cd backend && python -m pytest")
    runner = TestRunner(project)
    assert set(runner.run(workspace).results) == {f"backend/tests/test_it.py::test_{x}" for x in "ab"}
    chosen = runner.run(workspace, ["backend/tests/test_it.py::test_b"])
    assert outcomes(chosen) == {"backend/tests/test_it.py::test_b": "passed"}


def test_flaky_tests_are_found(make: Maker) -> None:
    """Each of forty tests is a coin of its own: the chance that no coin falls differently is 2**-40."""
    body = "".join(
        f"def test_flaky{n}(): assert int(open('/proc/sys/kernel/random/uuid').read(1), 16) % 2\n"
        for n in range(40)
    )
    workspace, project = make({"test_it.py": "def test_steady(): pass\n" + body, "pytest.ini": "[pytest]\n"})
    runner = TestRunner(project)
    baseline = runner.measure_baseline(workspace)
    assert baseline.runs == 2
    assert baseline.flaky
    assert "test_it.py::test_steady" in baseline.passing - baseline.flaky
    assert not compare(baseline, runner.run(workspace, [sorted(baseline.flaky)[0]]), partial=True).broken


def test_unittest_with_subtests_and_failed_imports(make: Maker) -> None:
    files = {
        "tests/__init__.py": "",
        "tests/test_a.py": (
            "import unittest\n"
            "class A(unittest.TestCase):\n"
            "    def test_ok(self): pass\n"
            "    def test_bad(self): self.fail('because')\n"
            "    def test_error(self): raise ValueError('oh')\n"
            "    @unittest.skip('why not')\n"
            "    def test_skip(self): pass\n"
            "    @unittest.expectedFailure\n"
            "    def test_expected(self): self.fail()\n"
            "    def test_sub(self):\n"
            "        for i in range(3):\n"
            "            with self.subTest(i=i): self.assertNotEqual(i, 1)\n"
            "    def test_sub_skipped(self):\n"
            "        for i in range(3):\n"
            "            with self.subTest(i=i):\n"
            "                if i == 1: self.skipTest('not here')\n"
            "class B(unittest.TestCase):\n"
            "    @classmethod\n"
            "    def setUpClass(cls): raise RuntimeError('no class')\n"
            "    def test_never(self): pass\n"
        ),
        "tests/test_c.py": "import no_such_module_anywhere\n",
    }
    workspace, project = make(files)
    assert project.test_command.runner == "unittest"
    runner = TestRunner(project)
    report = runner.run(workspace)
    found = outcomes(report)
    assert {k.rpartition(".")[2]: v for k, v in found.items() if ".A." in k} == {
        "test_ok": "passed",
        "test_bad": "failed",
        "test_error": "error",
        "test_skip": "skipped",
        "test_expected": "xfailed",
        "test_sub": "failed",
        "test_sub_skipped": "passed",
    }
    assert "error" in {v for k, v in found.items() if "B" in k}
    assert any("no_such_module_anywhere" in error for error in report.collection_errors)
    for name in ("tests.test_a.A.test_ok", "tests/test_a.py::A::test_ok"):
        assert outcomes(runner.run(workspace, [name])) == {"tests.test_a.A.test_ok": "passed"}
    assert len(runner.run(workspace, ["tests/test_a.py"]).results) == 8
    assert runner.run(workspace, ["tests.test_a.A.test_gone"]).unknown == ("tests.test_a.A.test_gone",)


def test_any_command_by_its_exit_code(make: Maker) -> None:
    workspace, project = make({"check.sh": "grep -q good value.txt\n", "value.txt": "bad\n"}, "sh check.sh")
    runner = TestRunner(project)
    assert outcomes(runner.run(workspace)) == {"command": "failed"}
    workspace.write_text("value.txt", "good\n")
    assert outcomes(runner.run(workspace)) == {"command": "passed"}


def test_any_command_by_its_junit_xml(make: Maker) -> None:
    script = (
        'printf \'<testsuite><testcase classname="s" name="a" time="0.5"/>'
        '<testcase classname="s" name="b"><failure message="no">deep</failure></testcase></testsuite>\' > out-1.xml; exit 1\n'
    )
    command = TestCommand("sh check.sh", "custom", junit="out-*.xml")
    workspace, project = make({"check.sh": script, "out-0.xml": "<stale/>"}, command)
    report = TestRunner(project).run(workspace)
    assert outcomes(report) == {"s.a": "passed", "s.b": "failed"}
    assert report.results["s.a"].duration_s == 0.5
    assert report.results["s.b"].message == "no\ndeep"


def test_bytecode_of_the_base_serves_later_runs_and_that_of_a_candidate_does_not(make: Maker) -> None:
    """An edit of equal size within the same second is seen, and what was compiled once is not again."""
    files = {
        "pytest.ini": "[pytest]\n",
        "pkg.py": "VALUE = 1\n",
        "test_it.py": (
            "import pathlib, pkg\n"
            "def test_value(): assert pkg.VALUE == 1\n"
            "def test_cached():\n"
            "    print('SEEN', sorted(p.name for p in pathlib.Path('.git/swe-agent').rglob('pkg.*.pyc')))\n"
            "    assert 0\n"
        ),
    }
    workspace, project = make(files)
    workspace.exec("touch -d '2020-01-01' pkg.py test_it.py; git update-index -q --refresh")
    runner = TestRunner(project, warm=False)
    runner.measure_baseline(workspace, runs=1)
    report = runner.run(workspace, cold=True)
    assert "SEEN ['pkg." in report.output
    with workspace.fork() as fork:
        fork.write_text("pkg.py", "VALUE = 2\n")
        fork.exec("touch -d '2020-01-01' test_it.py")
        assert "test_it.py::test_value" in runner.run(fork, cold=True).failing
    assert "test_it.py::test_value" in runner.run(workspace, cold=True).passing


def test_a_skipped_subtest_skips_no_test(make: Maker) -> None:
    """Here with pytest, which tells of subtests one by one since its ninth version."""
    body = (
        "import unittest\n"
        "class A(unittest.TestCase):\n"
        "    def test_sub(self):\n"
        "        for i in range(3):\n"
        "            with self.subTest(i=i):\n"
        "                if i == 1: self.skipTest('not here')\n"
        "    def test_bad(self):\n"
        "        for i in range(3):\n"
        "            with self.subTest(i=i):\n"
        "                if i == 1: self.skipTest('not here')\n"
        "                self.assertNotEqual(i, 2)\n"
    )
    workspace, project = make({"test_it.py": body, "pytest.ini": "[pytest]\n"})
    found = {
        test.rpartition("::")[2]: said for test, said in outcomes(TestRunner(project).run(workspace)).items()
    }
    assert found == {"test_sub": "passed", "test_bad": "failed"}
