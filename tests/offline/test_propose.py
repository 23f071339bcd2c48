"""propose on small repositories, in a real sandbox."""

from __future__ import annotations

import pytest

from swe_agent.agents.offline.propose import propose
from swe_agent.tools.project.spec import Project

MEDIAN = '''
def median(values):
    """Middle value; mean of the two middle ones for an even count."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 3
'''
MEDIAN_TEST = """
from stats import median

def test_odd():
    assert median([3, 1, 2]) == 2

def test_even():
    assert median([1, 2, 3, 4]) == 2.5
    assert median([4, 2]) == 3
"""


def test_one_edit(make_workspace, project: Project):
    workspace = make_workspace({"stats.py": MEDIAN, "test_stats.py": MEDIAN_TEST})
    before = workspace.tree_hash()
    found = propose(workspace, project, ["test_stats.py::test_even"], time_limit_s=30)
    assert found.patches, found
    best = found.patches[0]
    assert best.files == ("stats.py",)
    assert "/ 2" in best.patch.text
    assert [p.rank for p in found.patches] == list(range(1, len(found.patches) + 1))
    for path, old, new in best.edits:
        text = workspace.read_text(path)
        assert text.count(old) == 1
        workspace.write_text(path, text.replace(old, new))
    assert workspace.diff().text == best.patch.text
    assert before != workspace.tree_hash()
    assert workspace.exec("python -m pytest -q").exit_code == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_order_does_not_depend_on_workers(make_workspace, project: Project, workers: int):
    workspace = make_workspace({"stats.py": MEDIAN, "test_stats.py": MEDIAN_TEST})
    found = propose(workspace, project, ["test_stats.py::test_even"], time_limit_s=30, workers=workers)
    assert found.patches[0].template == "numeric constant"


def test_nothing_fails(make_workspace, project: Project):
    workspace = make_workspace({"stats.py": MEDIAN, "test_stats.py": MEDIAN_TEST})
    found = propose(workspace, project, ["test_stats.py::test_odd"], time_limit_s=20)
    assert not found.patches
    assert "none of the named tests fails" in found.message
