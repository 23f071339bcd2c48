"""Signs in a run of tests: who made them, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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

class Proxy:
    @property
    def __class__(self):
        raise RuntimeError("outside of its context")

class Late(types.ModuleType):
    proxy = Proxy()

    def __getattr__(self, name):
        raise ModuleNotFoundError(name)

import sys
sys.modules["old"] = Old("old")
sys.modules["late"] = late = Late("late")
late.request = Proxy()

def value():
    return 3
"""


def test_a_sign_has_the_test_or_the_file_that_made_it(make: Maker) -> None:
    workspace, project = make(FILES, "python -m pytest")
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert len(report.marks) == 2, report.marks
    assert set(report.marked) == {"test_looks.py::test_two", "test_writes.py"}


REPLACES = "import json\n\ndef dumps(value):\n    return 'x'\n\ndef replace():\n    json.{name} = dumps\n"


def test_what_is_replaced_has_the_first_test_or_the_file_after_which_it_was_seen(make: Maker) -> None:
    files = {
        "early.py": REPLACES.format(name="early") + "\nreplace()\n",
        "late.py": REPLACES.format(name="late"),
        "test_a.py": "import early\n\ndef test_one():\n    pass\n\ndef test_two():\n    pass\n",
        "test_b.py": "import late\n\ndef test_one():\n    pass\n\ndef test_two():\n    late.replace()\n",
        "test_c.py": "def test_one():\n    pass\n",
    }
    workspace, project = make(files, "python -m pytest")
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert report.marks == ("early.py replaces json.early", "late.py replaces json.late")
    assert report.marked == ("test_a.py::test_one", "test_b.py")


COPIED = """
import importlib, json, sys

def test_one(tmp_path):
    (tmp_path / "copied.py").write_text(
        "import json\\ndef own():\\n    pass\\nclass Own:\\n    def method(self):\\n        pass\\n"
        "def replace():\\n    json.dumps = own\\n"
    )
    sys.path.insert(0, str(tmp_path))
    copied = importlib.import_module("copied")
    assert copied.Own().method() is None
    if {replace}:
        copied.replace()
"""


def test_a_module_elsewhere_replaces_nothing_by_what_it_defines_and_something_by_what_it_puts_elsewhere(
    make: Maker,
) -> None:
    for replace_, marks in ((False, ()), (True, ("copied.py (from outside) replaces json.dumps",))):
        workspace, project = make({"test_it.py": COPIED.format(replace=replace_)}, "python -m pytest")
        report = TestRunner(project, warm=False).run(workspace, cold=True)
        assert report.passing, report.output
        assert report.marks == marks


def test_a_look_at_deprecated_names_late_modules_and_proxies_is_no_sign(make: Maker) -> None:
    files = {"pkg.py": DEPRECATED, "test_it.py": QUIET, "pytest.ini": "[pytest]\nfilterwarnings = error\n"}
    workspace, project = make(files, "python -m pytest")
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert report.passing
    assert report.marks == ()


def test_an_installed_module_that_imports_from_the_product_may_hold_its_functions(
    make: Maker, tmp_path: Path
) -> None:
    (tmp_path / "made_for.py").write_text("from prod import tool\n\ndef own():\n    pass\n")
    (tmp_path / "other.py").write_text("def own():\n    pass\n")
    product = "def tool():\n    pass\n\ndef replace(module):\n    module.own = tool\n"
    test = "import made_for, other, prod\n\ndef test_one():\n    {}\n"
    for call, marks in (("pass", ()), ("prod.replace(other)", ("prod.py replaces other.own",))):
        workspace, project = make(
            {"prod.py": product, "test_it.py": test.format(call)}, "python -m pytest", "plain"
        )
        project = replace(project, env={**project.env, "PYTHONPATH": str(tmp_path)})
        report = TestRunner(project, warm=False).run(workspace, cold=True)
        assert report.passing, report.output
        assert report.marks == marks


PLUGIN = """
import unittest.mock

def wrapped(self, *args, **kwargs):
    return plain(self, *args, **kwargs)

plain = unittest.mock.Mock.assert_called_with

def pytest_configure(config):
    unittest.mock.NonCallableMock.assert_called_with = wrapped
"""
BENDS = """
import unittest

class Quiet:
    def __call__(self, *args):
        pass

unittest.TestCase.assertEqual = Quiet()

def value():
    return 3
"""


def test_what_an_installed_plugin_wraps_is_no_sign_and_what_the_product_puts_there_is(
    make: Maker, tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/wrapping.py").write_text(PLUGIN)
    command = "python -m pytest -p wrapping"
    for product, marks in (
        (FILES["pkg.py"], ()),
        (BENDS, ("unittest.case.TestCase.assertEqual was replaced",)),
    ):
        workspace, project = make(
            {"pkg.py": product, "conftest.py": "import pkg\n", "test_it.py": QUIET}, command, "plain"
        )
        project = replace(project, env={**project.env, "PYTHONPATH": str(tmp_path / "plugins")})
        report = TestRunner(project, warm=False).run(workspace, cold=True)
        assert report.passing
        assert report.marks == marks
