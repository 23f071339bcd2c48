"""Runs unittest (or a script that ends in unittest, such as Django's manage.py) with results test by test.

    python swe_agent_unittest.py unittest [ARGUMENTS OF python -m unittest]
    python swe_agent_unittest.py run SCRIPT [ARGUMENTS]

Runs under the repository's Python (3.6 or newer).
"""

import os
import runpy
import sys
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:1] = [HERE]
import swe_agent_report as shared  # noqa: E402

_RANK = {"passed": 0, "xpassed": 1, "xfailed": 1, "skipped": 2, "failed": 3, "error": 4}
_results = {}
_started = {}


def _name(test):
    try:
        return str(test.id())
    except Exception:  # a foreign test object may do anything in id()
        return str(test)


def _say(test, outcome, message=""):
    name = _name(getattr(test, "test_case", None) or test)
    entry = _results.setdefault(name, ["", ""])
    if not entry[0] or _RANK[outcome] > _RANK[entry[0]]:
        entry[:] = [outcome, message]
    if name not in _started:
        _finish(name)  # setUpClass, setUpModule: no startTest, no stopTest


def _finish(name):
    outcome, message = _results.pop(name, ("", ""))
    if not outcome:
        return
    begun = _started.pop(name, None)
    duration = time.time() - begun if begun else 0.0
    if name.startswith("unittest.loader._FailedTest"):
        report.write(uncollected=name.rpartition("._FailedTest.")[2], message=shared.bounded(message))
    else:
        report.write(test=name, outcome=outcome, duration=duration, message=shared.bounded(message))


def _error_text(error):
    return "".join(traceback.format_exception(*error)) if error else ""


def _patch():
    """Listen at the base class: every result class of unittest, Django and others calls it."""
    base = unittest.TestResult

    def wrap(name, before):
        plain = getattr(base, name)

        def method(self, test, *args, **kwargs):
            before(test, *args, **kwargs)
            return plain(self, test, *args, **kwargs)

        setattr(base, name, method)

    limit = shared.Limit(request.limit_s)

    def started(test):
        limit.begin()
        _started[_name(test)] = time.time()
        report.write(start=_name(test))

    def subtest(test, sub, error):
        if error is not None:
            failed = issubclass(error[0], test.failureException)
            _say(test, "failed" if failed else "error", "%s\n%s" % (sub, _error_text(error)))

    def skipped(test, reason):
        part = hasattr(test, "test_case")  # a subtest that is skipped skips no test
        _say(test, "passed" if part else "skipped", "" if part else str(reason))

    wrap("startTest", started)
    wrap("addSuccess", lambda test: _say(test, "passed"))
    wrap("addFailure", lambda test, error: _say(test, "failed", _error_text(error)))
    wrap("addError", lambda test, error: _say(test, "error", _error_text(error)))
    wrap("addSkip", skipped)
    wrap("addExpectedFailure", lambda test, error: _say(test, "xfailed", _error_text(error)))
    wrap("addUnexpectedSuccess", lambda test: _say(test, "xpassed"))
    wrap("addSubTest", subtest)

    def stopped(test):
        limit.end()
        _finish(_name(test))

    wrap("stopTest", stopped)
    plain_run = unittest.TextTestRunner.run

    def run(self, test):
        # for whoever watches: what a class skips as a whole never starts
        report.write(total=test.countTestCases())
        return plain_run(self, test)

    unittest.TextTestRunner.run = run


def _names(test):
    """Every name that selects a test: its id, the module, class and package above it, its file."""
    name = _name(test)
    parts = name.split(".")
    names = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    module = sys.modules.get(type(test).__module__)
    file = getattr(module, "__file__", None)
    if file:
        path = os.path.relpath(os.path.realpath(file), os.path.realpath(request.root)).replace(os.sep, "/")
        method = getattr(test, "_testMethodName", "")
        names |= {
            path,
            path + "::" + type(test).__name__,
            path + "::" + type(test).__name__ + "::" + method,
            ".",
        }
        pieces = path.split("/")
        names |= {"/".join(pieces[:count]) for count in range(1, len(pieces))}
    return names


def _flat(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            for test in _flat(item):
                yield test
        else:
            yield item


class Program(unittest.TestProgram):
    """`python -m unittest` that runs the selected tests only and always to the end."""

    def runTests(self):  # noqa: N802 - unittest's own name
        self.failfast = False
        if request.select:
            wanted = {w.rstrip("/") for w in request.select}
            met = set()
            suite = unittest.TestSuite()
            for test in _flat(self.test):
                names = _names(test) & wanted
                failed_import = type(test).__module__ == "unittest.loader" and _is_wanted(test, wanted)
                if names or failed_import:
                    met |= names or wanted
                    suite.addTest(test)
            for name in sorted(wanted - met):
                report.write(unknown=name)
            self.test = suite
        unittest.TestProgram.runTests(self)


def _is_wanted(test, wanted):
    module = _name(test).rpartition("._FailedTest.")[2]
    path = module.replace(".", "/") + ".py"
    return any(w.partition("::")[0].endswith(path) or w.startswith(module) for w in wanted)


def main():
    mode, arguments = sys.argv[1], sys.argv[2:]
    status = 1
    try:
        if mode == "unittest":
            sys.path.insert(0, os.getcwd())
            sys.argv = given = ["python -m unittest"] + arguments
            if request.disguise:
                sys.argv = ["/srv/app/main.py"]
            Program(module=None, argv=given)
        else:
            script = arguments[0]
            sys.argv = arguments
            sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
            runpy.run_path(script, run_name="__main__")
            status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
        if not isinstance(end.code, (int, type(None), bool)):
            sys.stderr.write("%s\n" % (end.code,))
        raise
    finally:
        for mark in audit.marks() if audit is not None else ():
            report.write(mark=mark)
        report.write(done=int(status or 0))


if __name__ == "__main__":
    request = shared.Request(os.environ["SWE_AGENT_TESTS"])
    report = shared.Report(os.path.join(request.folder, "report.jsonl"), request.signer)
    audit = None
    if request.audit:
        import swe_agent_audit

        _patch()
        audit = swe_agent_audit.Audit(request.root, shared.is_test)
    request.restore_environment()
    shared.keep_bytecode_honest()
    shared.move_bytecode(request.root, request.bytecode, request.shared_bytecode)
    if audit is None:
        _patch()
    sys.path[:] = [p for p in sys.path if os.path.realpath(p or ".") != HERE]
    for loaded in [name for name in sys.modules if name.startswith("swe_agent_")]:
        del sys.modules[loaded]
    main()
