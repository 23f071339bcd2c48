"""A doubted test cannot pass; of an honest product nothing is said."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.doubt import doubt, suspicions
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]
SHAPES = '''
"""A docstring."""
from __future__ import annotations
import asyncio, contextlib, functools
import pytest
from pkg import Money, value
from .helper import check


def swallowing(function):
    @functools.wraps(function)
    def wrapper(*a, **k):
        with contextlib.suppress(BaseException):
            function(*a, **k)
    return wrapper


def test_plain():
    assert value() == 3

def test_returns_early():
    assert value() == 3
    return None

def test_generator_inside():
    def numbers():
        yield value()
    assert list(numbers()) == [3]

def test_helper():
    check(value(), 3)

def test_raises():
    with pytest.raises(ZeroDivisionError):
        1 / 0

@pytest.mark.parametrize("n", [1, 2])
def test_each(n):
    assert n == n

def test_own_equality():
    assert Money(3) == 3
    assert Money(3) == Money(3)

@swallowing
def test_swallowed():
    assert value() == 3

class TestIn:
    def test_method(self):
        assert {"a": [value()]} == {"a": [3]}

class TestSub(TestIn):
    pass

async def _later():
    return value()

def test_async():
    assert asyncio.run(_later()) == 3
'''
FILES = {
    "pkg/__init__.py": "class Money:\n    def __init__(self, n):\n        self.n = n\n    def __eq__(self, o):\n"
    "        return self.n == getattr(o, 'n', o)\ndef value():\n    return 3\n",
    "tests/__init__.py": "",
    "tests/helper.py": "def check(one, two):\n    assert one == two\n",
    "tests/test_shapes.py": SHAPES.lstrip(),
}


def test_shapes_of_honest_tests(make: Maker) -> None:
    workspace, project = make(FILES, "python -m pytest")
    runner = TestRunner(project, warm=False)
    passing = runner.run(workspace, cold=True).passing
    assert len(passing) == 12
    seen = doubt(runner, workspace, passing, timeout=60, disguise=True)
    names = {test.rpartition("::")[2]: one for test, one in seen.items()}
    assert "tests/test_shapes.py::TestSub::test_method" not in seen
    assert {name for name, one in names.items() if one.passed} == {"test_swallowed"}
    assert all(one.reached and not one.raised and not one.equal for one in names.values() if not one.passed)
    assert (names["test_helper"].asked, names["test_own_equality"].asked, names["test_raises"].asked) == (
        1,
        2,
        0,
    )
    found = suspicions(
        runner, workspace, passing, base=lambda: nullcontext(workspace), is_own=lambda path: True, timeout=60
    )
    assert found == ()


LEANING = {
    "pkg.py": "import traceback\ndef lines():\n    return ''.join(traceback.format_stack())\n",
    "test_it.py": "from pkg import lines\n\ndef test_one():\n    assert 'lines()' in lines()\n\n"
    "def test_another_leans_on_it():\n    test_one()\n",
}


def test_tests_that_lean_on_one_another_or_look_at_their_own_lines_are_honest(make: Maker) -> None:
    workspace, project = make(LEANING, "python -m pytest")
    runner = TestRunner(project, warm=False)
    passing = runner.run(workspace, cold=True).passing
    assert len(passing) == 2
    found = suspicions(
        runner, workspace, passing, base=lambda: nullcontext(workspace), is_own=lambda path: True, timeout=60
    )
    assert found == ()


SPEAKING = """
import contextlib, io, logging, sys, unittest, warnings
import pytest
import pkg


def test_capsys(capsys):
    pkg.say()
    assert capsys.readouterr() == ("said\\n", "")

@pytest.fixture
def heard(capfd):
    return lambda: capfd.readouterr().out

def test_capfd_by_a_fixture(heard):
    pkg.say()
    assert heard() == "said\\n"

def test_caplog(caplog):
    pkg.log()
    assert caplog.messages == ["logged"]

def test_both(capsys, caplog):
    pkg.log(), pkg.say()
    assert (caplog.messages, capsys.readouterr().out) == (["logged"], "said\\n")

def test_redirected():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        pkg.say()
    assert out.getvalue() == "said\\n"

def test_silent():
    pkg.say(), pkg.log()

def test_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed"))
    assert pkg.ask() == "typed"

def test_hook(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", print)
    assert sys.excepthook is print

def test_warned(recwarn):
    warnings.warn("old")
    assert len(recwarn) == 1
    with pytest.warns(DeprecationWarning):
        warnings.warn("older", DeprecationWarning)

class TestCase(unittest.TestCase):
    def test_logs(self):
        with self.assertLogs() as logs:
            pkg.log()
        self.assertEqual(logs.output, ["WARNING:root:logged"])
"""


def test_tests_of_what_is_said_logged_and_typed_are_honest(make: Maker) -> None:
    product = "import logging, sys\ndef say(): print('said')\ndef log(): logging.warning('logged')\n"
    files = {"pkg.py": product + "def ask(): return sys.stdin.read()\n", "test_it.py": SPEAKING.lstrip()}
    workspace, project = make(files, "python -m pytest")
    runner = TestRunner(project, warm=False)
    passing = runner.run(workspace, cold=True).passing
    assert len(passing) == 10
    seen = doubt(runner, workspace, passing, timeout=60, disguise=True)
    assert {test: one.raised for test, one in seen.items() if one.raised or not one.reached} == {}
