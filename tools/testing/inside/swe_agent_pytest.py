"""pytest plugin: results test by test, whatever the repository's own options say.

Loaded with `-p` through PYTEST_ADDOPTS, so that it works under any command that ends in pytest. Runs under
the repository's Python (3.6 or newer) and pytest (3 or newer).
"""

import json
import os
import sys

import pytest
import swe_agent_options as options
import swe_agent_report as shared

_SKIPPED = pytest.skip.Exception
_RANK = {"passed": 0, "xpassed": 1, "xfailed": 1, "skipped": 2, "failed": 3, "error": 4}


class State:
    request = None
    report = None
    rootdir = ""
    results = {}
    checkpoint = None
    """Called with a reason where the run may be frozen for later runs (warm runs only)."""
    tracer = coverage = audit = None
    disguise = None
    replaced = ()
    """Of the test machinery, before the plugins were configured."""
    raised = {}
    """Tests whose latest call raised: told by the call itself, not by a report about it."""
    selected = False
    """Whether the selection has taken effect: before that, a frozen session serves any selection."""

    @classmethod
    def flags(cls, freezer):
        """What the coordinator must know about the run that ends here."""
        data = {
            "wrote": freezer.wrote,
            "spawned": freezer.spawned,
            "dependencies": freezer.learned,
            "obstacle": freezer.obstacle() if freezer.poisoned else "",
        }
        with open(os.path.join(cls.request.folder, "flags.json"), "w") as file:
            json.dump(data, file)


def resume(folder):
    """Serve another request from here on (in a process woken from a frozen one)."""
    State.request = shared.Request(folder)
    State.request.root = os.path.realpath(State.request.root)
    path = os.path.join(folder, "report.jsonl")
    State.report = State.report.moved(path) if State.report is not None else shared.Report(path)


def start(folder):
    """Begin to serve the request in `folder`."""
    State.request = shared.Request(folder)
    State.report = shared.Report(os.path.join(folder, "report.jsonl"), State.request.signer)
    State.results = {}
    State.request.restore_environment()
    if State.request.disguise:
        import swe_agent_disguise

        State.disguise = swe_agent_disguise.Disguise()
    if State.request.audit:
        import swe_agent_audit

        State.audit = swe_agent_audit.Audit(State.request.root, shared.is_test)
    if State.request.signer is not None:
        _hide(folder)
    prepare(State.request.root, State.request.bytecode, State.request.shared_bytecode)


def prepare(root, bytecode, shared_bytecode):
    """Once for each process, before anything of the repository is imported."""
    shared.keep_bytecode_honest()
    shared.move_bytecode(root, bytecode, shared_bytecode)
    _keep_rewritten_honest()


def _hide(folder):
    """The product under test shall not find the report's author by name."""
    if State.request.coverage:
        import swe_agent_coverage  # noqa: F401 - found here later, when the folder is off the path

        State.coverage = swe_agent_coverage
    sys.path[:] = [p for p in sys.path if os.path.realpath(p or ".") != os.path.realpath(folder)]
    for name in list(sys.modules):
        if name.startswith("swe_agent_") and name != __name__:
            del sys.modules[name]


def _keep_rewritten_honest():
    """The same rule for the modules that pytest rewrites and caches itself."""
    try:
        from _pytest.assertion import rewrite

        plain = rewrite._write_pyc
    except (ImportError, AttributeError):
        return

    def write_pyc(*args, **kwargs):
        for value in list(args) + list(kwargs.values()):
            mtime = getattr(value, "st_mtime", None)
            if mtime is not None and not shared.cacheable(mtime):
                return False
        return plain(*args, **kwargs)

    rewrite._write_pyc = write_pyc


if os.environ.get("SWE_AGENT_TESTS"):
    start(os.environ["SWE_AGENT_TESTS"])


def test_id(nodeid):
    """A node id relative to the repository's root, whatever pytest took for its rootdir."""
    root = State.request.root
    if not State.rootdir or State.rootdir == root:
        return nodeid
    path, mark, rest = nodeid.partition("::")
    if not path:
        return nodeid
    full = os.path.normpath(os.path.join(State.rootdir, path))
    return os.path.relpath(full, root).replace(os.sep, "/") + mark + rest


def pytest_addoption(parser):
    """pytest-cov starts measuring before any hook of ours could stop it: empty its option where it is
    parsed. Its tracer slows tests down and its threshold fails runs of a selection."""
    plain = parser.parse_known_args

    def parse_known_args(*args, **kwargs):
        namespace = plain(*args, **kwargs)
        if getattr(namespace, "cov_source", None):
            namespace.cov_source = []
            namespace.no_cov = True
        return namespace

    parser.parse_known_args = parse_known_args


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    options.neutralise(config)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    if State.checkpoint is not None:
        State.checkpoint("session")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    options.neutralise(config)
    if State.checkpoint is not None:
        State.checkpoint("configured")
    if State.request.signer is not None:
        sys.modules.pop(__name__, None)
    if State.disguise is not None:
        config.pluginmanager.register(State.disguise)
    if State.audit is not None:
        State.replaced = State.audit.changed()
    State.selected = True
    rootdir = getattr(config, "rootpath", None) or getattr(config, "rootdir", "")
    State.rootdir = os.path.realpath(str(rootdir))
    State.request.root = os.path.realpath(State.request.root)
    if State.request.select:
        config.args[:] = _files(State.request)


def _files(request):
    """Absolute paths of the selected files and folders that exist; the rest is reported as unknown."""
    found = []
    for wanted in request.select:
        path = os.path.join(request.root, wanted.partition("::")[0])
        if os.path.exists(path) and path not in found:
            found.append(path)
    return found


def pytest_collection(session):
    """With a selection of which no file exists, pytest would collect its default paths."""
    if State.audit is not None:  # every plugin is configured now
        files = [getattr(plugin, "__file__", None) for plugin in session.config.pluginmanager.get_plugins()]
        State.audit.allow(State.replaced, [file for file in files if isinstance(file, str)])
    if State.request.select and not session.config.args:
        session.items = []
        session.testscollected = 0
        for wanted in State.request.select:
            State.report.write(unknown=wanted)
        return True
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    wanted = State.request.select
    if not wanted:
        return
    exact = {w.rstrip("/") for w in wanted}
    met = set()
    kept, dropped = [], []
    for item in items:
        names = _names(test_id(item.nodeid)) & exact
        met |= names
        (kept if names else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
    for name in sorted(exact - met):
        if name not in (".", ""):
            State.report.write(unknown=name)


def _names(test):
    """Every name that selects a test: its id, the id without parameters, its class, file and folders."""
    names = {test, "."}
    path, mark, rest = test.partition("::")
    if mark:
        plain = rest.partition("[")[0]
        names.add(path + "::" + plain)
        parts = plain.split("::")
        for count in range(1, len(parts)):
            names.add(path + "::" + "::".join(parts[:count]))
    pieces = path.split("/")
    for count in range(1, len(pieces) + 1):
        names.add("/".join(pieces[:count]))
    return names


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    if State.checkpoint is not None:
        State.checkpoint("collected")
        State.checkpoint = None
    State.report.write(collected=len(session.items))
    if State.request.coverage:
        coverage = State.coverage
        if coverage is None:
            import swe_agent_coverage as coverage
        State.tracer = coverage.Tracer(State.request.root)


def _tell_news(place):
    """Each sign with the test, or the file, in whose run it was heard."""
    for mark in State.audit.news() if State.audit is not None and place else ():
        State.report.write(mark=mark, by=place)


def pytest_collectreport(report):
    _tell_news(test_id(report.nodeid) if ".py" in report.nodeid else "")
    if report.failed:
        State.report.write(uncollected=test_id(report.nodeid), message=shared.bounded(_text(report)))


def pytest_runtest_logstart(nodeid, location):
    State.report.write(start=test_id(nodeid))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    tracer = State.tracer
    if tracer is not None:
        tracer.begin()
    yield
    if tracer is not None:
        State.report.write(covered=test_id(item.nodeid), lines=tracer.end())
    if State.audit is not None:
        following = "" if nextitem is None else test_id(nextitem.nodeid)
        names, marks = State.audit.between(test_id(item.nodeid), following)
        for mark in marks:
            State.report.write(mark=mark, by=names)


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_call(item):
    limit = shared.Limit(State.request.limit_s)
    limit.begin()
    try:
        outcome = yield
    finally:
        limit.end()
    if State.audit is not None:
        error = outcome.excinfo
        State.raised[item.nodeid] = error is not None and not isinstance(error[1], _SKIPPED)
        for name in State.audit.replaced():
            State.report.write(mark="%s was replaced while a test ran" % name, by=test_id(item.nodeid))


def pytest_runtest_logreport(report):
    outcome = _outcome(report)
    if outcome is None:
        return
    entry = State.results.setdefault(report.nodeid, ["", 0.0, ""])
    entry[1] += getattr(report, "duration", 0.0) or 0.0
    if not entry[0] or _RANK[outcome] > _RANK[entry[0]]:
        entry[0] = outcome
        if outcome != "passed":
            entry[2] = shared.bounded(_text(report))


def _outcome(report):
    expected = hasattr(report, "wasxfail")
    if report.outcome == "rerun":
        State.results.pop(report.nodeid, None)
        return None
    if report.outcome == "failed":
        return "failed" if report.when == "call" else "error"
    if type(report).__name__.lower() == "subtestreport":
        return None  # one that is skipped skips no test
    if report.outcome == "skipped":
        return "xfailed" if expected else "skipped"
    if report.when == "call":
        return "xpassed" if expected else "passed"
    return "passed" if report.when == "teardown" and report.nodeid in State.results else None


def _text(report):
    longrepr = getattr(report, "longrepr", None)
    if isinstance(longrepr, tuple) and len(longrepr) == 3:
        return str(longrepr[2])
    text = getattr(report, "longreprtext", None)
    text = text if isinstance(text, str) else str(longrepr or "")
    return text or str(getattr(report, "wasxfail", ""))


def pytest_runtest_logfinish(nodeid, location):
    outcome, duration, message = State.results.pop(nodeid, ("", 0.0, ""))
    if outcome == "passed" and State.raised.pop(nodeid, False):
        mark = "%s raised and was reported as passed" % test_id(nodeid)
        State.report.write(mark=mark, by=test_id(nodeid))
    _tell_news(test_id(nodeid))
    if outcome:
        State.report.write(test=test_id(nodeid), outcome=outcome, duration=duration, message=message)


def pytest_sessionfinish(session, exitstatus):
    if State.audit is not None:
        for mark in State.audit.marks():
            State.report.write(mark=mark)
    State.report.write(done=int(exitstatus))
