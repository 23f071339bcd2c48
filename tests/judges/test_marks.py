"""Signs in a run of tests: who made them, and what is none."""

from __future__ import annotations

from collections.abc import Callable

from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]
QUIET = "import pkg\n\ndef test_one():\n    assert pkg.value() == 3\n"
FILES = {
    "pkg.py": "import sys\ndef value():\n    return 3\ndef caller():\n    return sys._getframe(1)\n",
    "test_first.py": QUIET,
    "test_looks.py": QUIET + "\ndef test_two():\n    assert pkg.caller()\n",
    "test_writes.py": "open('made.py', 'w').close()\n" + QUIET,
}
DEPRECATED = """
import types, warnings

class Old(types.ModuleType):
    @property
    def __dict__(self):
        warnings.warn("old", DeprecationWarning)
        return {}

class Late(types.ModuleType):
    def __getattr__(self, name):
        raise ModuleNotFoundError(name)

import sys
sys.modules["old"] = Old("old")
sys.modules["late"] = Late("late")

def value():
    return 3
"""


def test_a_sign_has_the_test_or_the_file_that_made_it(make: Maker) -> None:
    workspace, project = make(FILES, "python -m pytest")
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert len(report.marks) == 2, report.marks
    assert set(report.marked) == {"test_looks.py::test_two", "test_writes.py"}


def test_a_look_at_deprecated_names_and_late_modules_is_no_sign(make: Maker) -> None:
    files = {"pkg.py": DEPRECATED, "test_it.py": QUIET, "pytest.ini": "[pytest]\nfilterwarnings = error\n"}
    workspace, project = make(files, "python -m pytest")
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert report.passing
    assert report.marks == ()
