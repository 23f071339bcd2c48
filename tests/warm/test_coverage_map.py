"""Which tests a patch concerns, from the lines they execute."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.patch import Patch
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.coverage_map import CoverageMap, select, touched_lines
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]


def test_a_patch_selects_the_tests_that_run_its_lines(make: Maker) -> None:
    workspace, project = make(
        {
            "pytest.ini": "[pytest]\n",
            "pkg.py": "def a():\n    return 1\n\ndef b():\n    x = 1\n    return x\n\ndef unused():\n    return 0\n",
            "test_it.py": "import pkg\ndef test_a(): pkg.a()\ndef test_b(): pkg.b()\ndef test_none(): pass\n",
        }
    )
    with TestRunner(project) as runner:
        coverage = runner.map_coverage(workspace)
    assert coverage.lines["test_it.py::test_a"]["pkg.py"] == {2}
    assert coverage.lines["test_it.py::test_b"]["pkg.py"] == {5, 6}
    workspace.write_text("pkg.py", workspace.read_text("pkg.py").replace("x = 1", "x = 2"))
    assert select(workspace.diff(), coverage) == ["test_it.py::test_b"]
    workspace.write_text("pkg.py", workspace.read_text("pkg.py").replace("return 0", "return 5"))
    assert select(workspace.diff(), coverage, limit=1) == ["test_it.py::test_b"]
    unused = Patch("--- a/pkg.py\n+++ b/pkg.py\n@@ -9 +9 @@\n-    return 0\n+    return 1\n")
    assert set(select(unused, coverage)) == {"test_it.py::test_a", "test_it.py::test_b"}
    assert select(Patch(""), coverage) == []


@given(at=st.integers(1, 50), removed=st.integers(0, 5), added=st.integers(0, 5))
def test_touched_lines_are_on_the_base_side(at: int, removed: int, added: int) -> None:
    if removed == added == 0:
        return
    body = "".join(f"-old {n}\n" for n in range(removed)) + "".join(f"+new {n}\n" for n in range(added))
    text = f"--- a/x.py\n+++ b/x.py\n@@ -{at},{removed + 1} +{at},{added + 1} @@\n keep\n{body}"
    lines = touched_lines(Patch(text))["x.py"]
    assert set(range(at + 1, at + 1 + removed)) <= lines
    assert lines <= set(range(at, at + removed + 2))


@given(
    st.dictionaries(st.text("abc", min_size=1), st.dictionaries(st.just("f.py"), st.sets(st.integers(1, 9))))
)
def test_covering_tests_execute_a_wanted_line(covered: dict[str, dict[str, set[int]]]) -> None:
    found = CoverageMap.of(covered).covering("f.py", {1, 2, 3})
    assert set(found) == {test for test, files in covered.items() if files.get("f.py", set()) & {1, 2, 3}}
