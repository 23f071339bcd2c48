"""What tells code that it is tested, hidden while it runs: arguments, variables, names of files and functions.

A product that works only where it can tell fails in disguise. Frames of pytest itself and its modules stay: who
looks for those is found otherwise (see swe_agent_audit). Runs under the repository's Python (3.6 or newer).
"""

import linecache
import os
import sys
import types

import pytest

_SHOWN = ["/srv/app/main.py"]


def _telling(name):
    """(Processes that a test starts still need to find their modules.)"""
    return name.startswith(("PYT", "SWE_AGENT", "TOX", "NOX")) and name not in ("PYTHONPATH", "PYTHONHOME")


class Disguise:
    """A plugin for pytest. Arguments are hidden from here on: pytest has read its own."""

    def __init__(self):
        sys.argv[:] = _SHOWN
        self._names = {}

    def _rename(self, function):
        """Tracebacks still show the lines, which tests of tracebacks count."""
        code = function.__code__
        replace = getattr(code, "replace", None)
        if replace is None or code.co_filename in self._names.values():
            return
        name = self._names.setdefault(code.co_filename, "/srv/app/main%d.py" % len(self._names))
        lines = linecache.getlines(code.co_filename)
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
        function.__code__ = replace(co_filename=name, co_name="main")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        for item in session.items:
            module = getattr(item, "module", None)
            for function in _functions(module):
                self._rename(function)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        """(pytest names the running test in a variable between this and `runtest`, and takes it away afterwards.)"""
        plain = item.runtest

        def runtest():
            kept = {name: os.environ.pop(name) for name in list(os.environ) if _telling(name)}
            try:
                plain()
            finally:
                os.environ.update(kept)

        item.runtest = runtest


def _functions(module):
    for value in list(vars(module).values()) if module is not None else ():
        if isinstance(value, type) and value.__module__ == module.__name__:
            for inner in list(vars(value).values()):
                if isinstance(inner, types.FunctionType):
                    yield inner
        elif isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            yield value
