"""Cold runs: the test command in a process of its own, results read test by test where the runner allows."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...errors import ToolError
from ...project.spec import Project
from ...sandbox import ExecResult, Sandbox
from ..junit import MAX_BYTES, parse_junit
from ..report import Outcome, TestReport, TestResult
from .bytecode import Bytecode
from .progress import OnProgress, watched
from .request import FOLDER, Events, ends, place, read_events

_SHARED = "swe_agent_report.py"
_PYTEST = ("swe_agent_pytest.py", "swe_agent_options.py", "swe_agent_disguise.py")
_COVERAGE = "swe_agent_coverage.py"
_UNITTEST = "swe_agent_unittest.py"
_AUDIT = ("swe_agent_audit.py", "swe_agent_guests.py")
_MOST_FILES = 5000
"""Of JUnit XML."""
_NOT_STARTED = (126, 127)
"""What a shell ends with when it cannot run a command: that says nothing about the code."""


def test_environment(project: Project, root: PurePosixPath) -> dict[str, str]:
    """Environment of a test process: a fixed hash seed, so that two runs differ only where the code does,
    and no bytecode in the tree from the processes that tests start."""
    env = {
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **project.environment(root),
        **project.test_command.env,
    }
    if project.python is None and project.test_command.runner == "custom":
        env.pop("PYTHONHASHSEED")
        env.pop("PYTHONDONTWRITEBYTECODE")
    return env


def run_cold(
    sandbox: Sandbox,
    project: Project,
    selection: Sequence[str],
    *,
    timeout: float,
    log: Path | None,
    coverage: bool = False,
    bytecode: Bytecode | None = None,
    on_base: bool = False,
    audit: bool = False,
    disguise: bool = False,
    limit_s: float | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[TestReport, Events]:
    """Run the test command in `sandbox`; the events hold what the report has no place for. `on_base` says
    that the tree is the base commit's, so that its bytecode may serve later runs. With `audit` the run is
    looked over for code that reaches for its judge (`TestReport.marks`); with `disguise` a process of tests shows
    little of what it is. `limit_s` ends a single test (pytest and unittest). `on_progress` hears, about once a second
    and from another thread, how far the run is (pytest, unittest, Django; another command says nothing before its end).

    Raises: ToolError for a selection that no test can have; SandboxError.
    """
    names = [check_name(name) for name in selection]
    folder = f"{FOLDER}/run-{secrets.token_hex(6)}"
    runner = project.test_command.runner
    limit = {"limit_s": limit_s} if limit_s else {}
    try:
        if runner == "pytest":
            compiled = _bytecode(bytecode, sandbox, folder)
            looks = {"coverage": coverage, "disguise": disguise}
            asked = {**compiled, **limit, **looks, **signature(project, audit)}
            with watched(sandbox, folder, on_progress):
                done, events = _pytest(sandbox, project, names, folder, timeout, asked)
            if bytecode is not None and on_base and not done.timed_out and events.results:
                bytecode.keep(sandbox, folder)
        elif runner in ("unittest", "django"):
            compiled = _bytecode(bytecode, sandbox, folder)
            asked = {**compiled, **limit, "disguise": disguise, **signature(project, audit)}
            with watched(sandbox, folder, on_progress):
                done, events = _unittest(sandbox, project, names, folder, timeout, asked)
        else:
            done, events = _custom(sandbox, project, names, timeout)
    finally:
        sandbox.exec(["rm", "-rf", str(sandbox.root / folder)])
    report = events.report(
        exit_code=done.exit_code,
        duration_s=done.duration_s,
        output=done.output,
        timed_out=done.timed_out,
        log_path=write_log(log, done.output),
        placeless=sandbox.placeless,
    )
    return report, events


def _bytecode(bytecode: Bytecode | None, sandbox: Sandbox, folder: str) -> dict[str, str | None]:
    """Where a run with its files in `folder` caches bytecode, and where it reads more: keys of a request."""
    shared = None if bytecode is None else bytecode.seed(sandbox, folder)
    return {"bytecode": str(sandbox.root / folder / "pycache"), "shared_bytecode": shared}


def signature(project: Project, audit: bool) -> dict[str, str | bool]:
    """The key by which the report is signed, for this run alone: keys of a request. `several`: the command may
    start more than one test process."""
    plain = not re.search(r"[|&;<>()$`\n]", project.test_command.command)
    return {"key": secrets.token_hex(32), "several": not plain, "audit": audit}


def check_name(name: str) -> str:
    """A selected id, file or folder, relative to the root. Raises: ToolError."""
    text = name.strip()
    if not text or text.startswith("-") or "\0" in text or "\n" in text:
        raise ToolError(f"{name!r} is not a test id, a test file or a folder")
    path = text.partition("::")[0]
    if ".." in PurePosixPath(path).parts or path.startswith("/"):
        raise ToolError(f"{name!r} is not inside the repository: name tests relative to its root")
    return text.removeprefix("./")


def _pytest(
    sandbox: Sandbox,
    project: Project,
    names: Sequence[str],
    folder: str,
    timeout: float,
    asked: Mapping[str, object],
) -> tuple[ExecResult, Events]:
    env, restore = pytest_environment(project, sandbox.root, folder)
    request = {"root": str(sandbox.root), "select": list(names), "restore": restore, **asked}
    place(
        sandbox, folder, request, (_SHARED, *_PYTEST, *_AUDIT, *((_COVERAGE,) if asked["coverage"] else ()))
    )
    done = sandbox.exec(project.test_command.command, timeout=timeout, env=env)
    return done, read_events(sandbox, folder, str(asked["key"]))


def pytest_environment(
    project: Project, root: PurePosixPath, folder: str
) -> tuple[dict[str, str], Mapping[str, str | None]]:
    """Environment under which any command that ends in pytest loads the plugin of `folder`, and what the
    plugin puts back once it is loaded."""
    env = test_environment(project, root)
    place_ = str(root / folder)
    restore = {name: env.get(name) for name in ("PYTEST_ADDOPTS", "PYTHONPATH", "SWE_AGENT_TESTS")}
    ours = ["-p", "swe_agent_pytest", "-o", f"cache_dir={root / FOLDER / 'pytest_cache'}"]
    env["PYTEST_ADDOPTS"] = " ".join(
        [*([env["PYTEST_ADDOPTS"]] if env.get("PYTEST_ADDOPTS") else []), shlex.join(ours)]
    )
    env["PYTHONPATH"] = ":".join([place_, *([env["PYTHONPATH"]] if env.get("PYTHONPATH") else [])])
    env["SWE_AGENT_TESTS"] = place_
    return env, restore


def _unittest(
    sandbox: Sandbox,
    project: Project,
    names: Sequence[str],
    folder: str,
    timeout: float,
    asked: Mapping[str, object],
) -> tuple[ExecResult, Events]:
    env = test_environment(project, sandbox.root)
    env["SWE_AGENT_TESTS"] = str(sandbox.root / folder)
    restore = {"SWE_AGENT_TESTS": None}
    request = {"root": str(sandbox.root), "select": list(names), "restore": restore, **asked}
    place(sandbox, folder, request, (_SHARED, _UNITTEST, *_AUDIT))
    script = shlex.quote(str(sandbox.root / folder / _UNITTEST))
    command = unittest_command(project.test_command.command, script, project.test_command.runner, names)
    done = sandbox.exec(command, timeout=timeout, env=env)
    return done, read_events(sandbox, folder, str(asked["key"]))


def unittest_command(command: str, script: str, runner: str, names: Sequence[str]) -> str:
    """The command with unittest, manage.py or runtests.py run through our script. Django gets the selection
    as labels, unittest gets it from the request."""
    if runner == "unittest":
        return re.sub(r"-m\s+unittest\b", lambda _: f"{script} unittest", command, count=1)
    match = re.search(
        r"(?P<python>\S*python[\d.]*\s+(?:-\S+\s+)*)?(?P<file>\S*(?:manage|runtests)\.py)", command
    )
    if match is None:
        return command
    file = match["file"]
    run = f"{match['python'] or 'python '}{script} run {file}"
    rest = command[match.end() :]
    if file.endswith("runtests.py") and "--parallel" not in rest:
        rest = f" --parallel=1{rest}"
    top = str(PurePosixPath(file).parent)
    labels = " ".join(shlex.quote(_label(name, top)) for name in names)
    if names:
        # Labels of the whole command would widen the selection.
        rest = " ".join(word for word in rest.split(" ") if word.startswith("-") or word in ("", "test"))
    return f"{command[: match.start()]}{run}{rest}{' ' + labels if labels else ''}"


def _label(name: str, top: str) -> str:
    """A path, `path::Class::test` or dotted id as a Django label, relative to the script's folder."""
    path, mark, rest = name.partition("::")
    if not mark and not path.endswith(".py") and "/" not in path:
        return name
    if top != ".":
        path = path.removeprefix(f"{top}/")
    dotted = path.removesuffix(".py").strip("/").replace("/", ".")
    return ".".join([dotted, *rest.split("::")]) if rest else dotted


def _custom(
    sandbox: Sandbox, project: Project, names: Sequence[str], timeout: float
) -> tuple[ExecResult, Events]:
    """Any other command: JUnit XML where it writes some, else its exit code as one test, `command`; none
    when the command could not be started.
    `{tests}` in the command is replaced by the selection; without it the whole command runs."""
    command = project.test_command.command
    command = command.replace("{tests}", " ".join(shlex.quote(name) for name in names))
    pattern = project.test_command.junit
    if pattern:
        sandbox.exec(f"rm -f -- {_glob(pattern)}")
    done = sandbox.exec(command, timeout=timeout, env=test_environment(project, sandbox.root))
    events = Events()
    left = MAX_BYTES
    for path in _matching(sandbox, pattern)[:_MOST_FILES] if pattern else ():
        try:
            data = sandbox.read_bytes(path, max_bytes=left + 1)
            left -= len(data)
            if left < 0:
                raise ValueError(f"the JUnit XML is larger than {MAX_BYTES} bytes in all")
            events.results.update(parse_junit(data))
        except OSError as error:
            events.uncollected[path] = f"cannot be read: {error.strerror}"
        except ValueError as error:
            events.uncollected[path] = str(error)
            if left < 0:
                break
    if pattern:
        sandbox.exec(f"rm -f -- {_glob(pattern)}")
    if not events.results and done.exit_code not in _NOT_STARTED:
        outcome = Outcome.PASSED if done.exit_code == 0 else Outcome.FAILED
        message = "" if outcome.good else ends(done.output)[-4000:]
        events.results["command"] = TestResult(outcome, done.duration_s, message)
    events.done = done.exit_code
    return done, events


def _glob(pattern: str) -> str:
    """A glob for the shell: everything but its wildcards quoted."""
    return "".join(
        part if part in ("*", "?") else shlex.quote(part) for part in re.split(r"([*?])", pattern) if part
    )


def _matching(sandbox: Sandbox, pattern: str) -> list[str]:
    listed = sandbox.exec(f"ls -1d -- {_glob(pattern)} 2>/dev/null")
    return [line for line in listed.output.splitlines() if line]


def write_log(log: Path | None, output: str) -> str | None:
    """Keep a run's output; returns where."""
    if log is None:
        return None
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(output, encoding="utf-8", errors="replace")
    return str(log)
