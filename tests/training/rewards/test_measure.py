"""The components, measured for real: tests, coverage.py, ruff on changed lines, wall time."""

import subprocess
import sys
from pathlib import Path

import pytest

from swe_agent.orchestrator.training.rewards.coverage import line_coverage
from swe_agent.orchestrator.training.rewards.lint import new_findings
from swe_agent.orchestrator.training.rewards.measure import measure
from swe_agent.orchestrator.training.rewards.shaped import shaped_reward
from swe_agent.tools.patch import Patch
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.sandbox import SandboxSpec
from swe_agent.tools.sandbox.factory import open_sandbox
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

SOURCE = """import os


def mid(a, b, c):
    if a < b < c or c < b < a:
        return b
    if b < a < c or c < a < b:
        return b
    return c


def unused(x):
    if x:
        return 1
    return 2
"""
TESTS = """from lib import mid


def test_inner():
    assert mid(1, 2, 3) == 2


def test_first():
    assert mid(2, 1, 3) == 2
"""


@pytest.fixture
def workspace(tmp_path):
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "lib.py").write_text(SOURCE)
    (repo / "test_lib.py").write_text(TESTS)
    git = ["git", "-C", str(repo), "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    base = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / "scratch").mkdir()
    paths = tuple({Path(sys.prefix), Path(sys.base_prefix)})
    spec = SandboxSpec(source=repo, scratch=tmp_path / "scratch", read_only=paths)
    with Workspace(open_sandbox("auto", spec), base) as opened:
        yield opened


def project():
    python = Path(sys.executable)
    return Project(TestCommand(f"{python} -m pytest -q -p no:cacheprovider", "pytest"), python=python)


def test_all_components_of_a_real_fix(workspace):
    made = project()
    runner = TestRunner(made)
    baseline = runner.measure_baseline(workspace, runs=1)
    assert baseline.failing == {"test_lib.py::test_first"}
    before = line_coverage(workspace, made)
    assert before is not None
    assert 0 < before < 1
    fixed = SOURCE.replace("c < a < b:\n        return b", "c < a < b:\n        return a")
    fixed = fixed.split("def unused")[0].rstrip() + "\n"
    workspace.write_text("lib.py", fixed + "import sys\n")
    measured, report = measure(workspace, made, runner, baseline, base_coverage=before)
    assert report.passing == {"test_lib.py::test_first", "test_lib.py::test_inner"}
    assert measured.pass_rate == 1.0
    assert measured.regressions == 0
    assert measured.coverage_change > 0.1, "the unused function is gone"
    assert measured.lint_findings == 1, "the new import is unused; the old unused import is not new"
    assert measured.wall_s > 0
    reward = shaped_reward(measured)
    missing = {name for name, part in reward.components.items() if part.value is None}
    assert missing == {"gate:leak"}, "only a trajectory can be audited"
    assert 0.8 < reward.total < 1.2


def test_a_regression_and_a_protected_test_are_seen(workspace):
    made = project()
    runner = TestRunner(made)
    baseline = runner.measure_baseline(workspace, runs=1)
    workspace.write_text("lib.py", SOURCE.replace("return b\n    if", "return a\n    if"))
    measured, _ = measure(workspace, made, runner, baseline, protected=["lib.py"])
    assert measured.regressions == 1
    assert measured.protected_edits == 1
    assert measured.coverage_change is None
    assert shaped_reward(measured).total <= 0.0


def test_lint_counts_changed_lines_only_and_unmeasured_is_null():
    before = "import os\nx = 1\n"
    after = "import os\nx = 1\nimport json\n"
    diff = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n import os\n x = 1\n+import json\n"
    assert new_findings(Patch(diff, after={"a.py": after}, before={"a.py": before})) == 1
    assert new_findings(Patch(diff)) is None
    text = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n"
    assert new_findings(Patch(text, after={"a.txt": "b\n"}, before={"a.txt": "a\n"})) is None
