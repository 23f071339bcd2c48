"""What tests execute of the functions of changed files, and what ruff says about lines that a patch adds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from swe_agent.tools.lint import new_findings
from swe_agent.tools.patch import Patch
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.sandbox import SandboxSpec
from swe_agent.tools.sandbox.factory import open_sandbox
from swe_agent.tools.testing.line_coverage import function_lines, line_coverage
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

SOURCE = """LIMIT = 3


class Box:
    size = 1

    def open(self):
        return self.size


def unused(x):
    return [
        y
        for y in x
    ]
"""


def test_lines_of_functions_are_those_that_run_when_they_are_called() -> None:
    assert function_lines(SOURCE) == {8, 12, 13, 14}
    assert function_lines("x = 1\n") == frozenset()
    for text in ("def f(:\n", "x = '\0'\n", "(" * 5000):
        assert function_lines(text) == frozenset(), "what does not parse has none"


def test_coverage_of_a_file_by_real_tests(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "box.py").write_text(SOURCE)
    (repo / "test_box.py").write_text(
        "from box import Box\n\n\ndef test_open():\n    assert Box().open() == 1\n"
    )
    (repo / "test_slow.py").write_text("import time\n\n\ndef test_slow():\n    time.sleep(30)\n")
    git = ["git", "-C", str(repo), "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run([*git, *command], check=True)
    base = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    (tmp_path / "scratch").mkdir()
    paths = tuple({Path(sys.prefix), Path(sys.base_prefix)})
    spec = SandboxSpec(source=repo, scratch=tmp_path / "scratch", read_only=paths)
    python = Path(sys.executable)
    project = Project(TestCommand(f"{python} -m pytest -q -p no:cacheprovider", "pytest"), python=python)
    with Workspace(open_sandbox("auto", spec), base.strip()) as workspace, TestRunner(project) as runner:
        files = {"box.py": SOURCE}
        assert line_coverage(runner, workspace, files, ["test_box.py"]) == 1 / 4
        assert line_coverage(runner, workspace, files, []) is None
        assert line_coverage(runner, workspace, {"box.py": "x = 1\n"}, ["test_box.py"]) is None
        assert line_coverage(runner, workspace, files, ["test_slow.py"], timeout=3) is None, "cut off"


def test_lint_counts_added_lines_only_and_unmeasured_is_null() -> None:
    before = "import os\nx = 1\n"
    after = "import os\nx = 1\nimport json\n"
    diff = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n import os\n x = 1\n+import json\n"
    assert new_findings(Patch(diff, after={"a.py": after}, before={"a.py": before})) == 1
    assert new_findings(Patch(diff)) is None
    text = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n"
    assert new_findings(Patch(text, after={"a.txt": "b\n"}, before={"a.txt": "a\n"})) is None
