"""What tells code that it is tested, hidden while it runs: arguments, variables, names of files and functions.

A product that works only where it can tell fails in disguise. Frames of pytest itself and its modules stay: who
looks for those is found otherwise (see swe_agent_audit). Runs under the repository's Python (3.6 or newer).
"""

import faulthandler
import importlib.util
import linecache
import logging
import os
import pdb
import sys
import threading
import types
import warnings

import pytest

_SHOWN = ["/srv/app/main.py"]
_HOOKS = [  # as they are before pytest puts its own in their place
    (owner, name, getattr(owner, name, None))
    for owner, name in (
        (sys, "unraisablehook"),
        (sys, "excepthook"),
        (sys, "breakpointhook"),
        (threading, "excepthook"),
        (pdb, "set_trace"),
        (warnings, "showwarning"),
    )
]


def _plain_warnings():
    """How a warning is shown where nobody records it. (pytest recorded before this module was there.)"""
    spec = importlib.util.find_spec("warnings")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "_showwarnmsg_impl", None)


_HOOKS.append((warnings, "_showwarnmsg_impl", _plain_warnings()))


def _telling(name):
    """(Processes that a test starts still need to find their modules.)"""
    return name.startswith(("PYT", "SWE_AGENT", "TOX", "NOX")) and name not in ("PYTHONPATH", "PYTHONHOME")


class Disguise:
    """A plugin for pytest. Arguments are hidden from here on: pytest has read its own."""

    def __init__(self):
        sys.argv[:] = _SHOWN
        self._names = {}
        self._before = []

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
    def pytest_runtest_setup(self, item):
        """(What a fixture puts in place from here on is the test's own.)"""
        self._before = [getattr(owner, name, None) for owner, name, _ in _HOOKS]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        """(pytest names the running test in a variable between this and `runtest`, and takes it away afterwards.)"""
        plain = item.runtest

        def runtest():
            kept = {name: os.environ.pop(name) for name in list(os.environ) if _telling(name)}
            back = list(_plain_interpreter(item, self._before))
            try:
                plain()
            finally:
                for put_back in reversed(back):
                    put_back()
                os.environ.update(kept)

        item.runtest = runtest


def _plain_interpreter(item, before):
    """Let the interpreter look as it does where nothing tests: streams, handlers, hooks (`before`: these before the
    test's fixtures). Yields what puts each back. What the test itself asked for (`capsys`, `caplog`) stays."""
    asked = getattr(item, "fixturenames", ())
    capture = item.config.pluginmanager.getplugin("capturemanager")
    if hasattr(capture, "suspend_global_capture") and not any(name.startswith("cap") for name in asked):
        capture.suspend_global_capture(in_=True)
        yield capture.resume_global_capture
    if "caplog" not in asked:
        root = logging.getLogger()
        yield _put(root, "handlers", [one for one in root.handlers if not _of_pytest(type(one))])
    yield _put(sys, "meta_path", [one for one in sys.meta_path if not _of_pytest(type(one))])
    for (owner, name, plain), early in zip(_HOOKS, before):
        now = getattr(owner, name, None)
        if (
            now is early
            and now is not plain
            and (_of_pytest(now) or isinstance(now, types.BuiltinMethodType))
        ):
            yield _put(owner, name, plain)
    if faulthandler.is_enabled():
        faulthandler.disable()
        yield lambda: faulthandler.enable(file=sys.__stderr__)


def _put(owner, name, value):
    before = getattr(owner, name)
    setattr(owner, name, value)
    return lambda: setattr(owner, name, before)


def _of_pytest(value):
    value = getattr(value, "func", value)  # of a partial
    return str(getattr(value, "__module__", "")).partition(".")[0] in ("_pytest", "pytest")


def _functions(module):
    for value in list(vars(module).values()) if module is not None else ():
        if isinstance(value, type) and value.__module__ == module.__name__:
            for inner in list(vars(value).values()):
                if isinstance(inner, types.FunctionType):
                    yield inner
        elif isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            yield value
