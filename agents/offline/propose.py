"""propose: patches for failing tests by search over program edits, with no language model.

The engine (`engine/`) runs inside a fork of the workspace's sandbox, so nothing a candidate does can be seen
outside it. Here the request is written, the engine watched, and its answer turned into patches.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...tools.errors import SandboxError
from ...tools.patch import Patch
from ...tools.project.spec import Project
from ...tools.sandbox import ExecResult
from ...tools.testing.test_files import is_test_file
from ...tools.workspace import Workspace
from .command_options import runner_options, unittest_tops
from .edits import unique_edits
from .engine.shapes import Found, Question, RepairRequest, Result, Statistics, Stats
from .hints import hints
from .package import engine_archive

EFFORT = 8_000
"""Candidates of one search, unless the caller says otherwise."""
LONGEST_S = 3600.0
_GRACE_S = 300.0
_MOST_ALSO = 30
_RESTARTS = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """One patch that makes the failing tests pass."""

    patch: Patch
    edits: tuple[tuple[str, str, str], ...]
    """(path, old text, new text); each old text occurs exactly once in its file."""
    rank: int
    """From 1; the first is the answer."""
    template: str
    """Names of the edit templates, joined by ` + `."""
    files: tuple[str, ...]
    plausible: bool = True
    """Passes the failing tests and breaks none that was run."""
    whole_suite: bool | None = None
    """Whether the whole suite passed against the baseline; None when it was not run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands."""

    tried: int
    plausible: int
    planned: int = 0
    """Candidates at most."""
    best: int = 0
    """Outcomes that the best candidate so far turned green."""
    where: str = ""

    def line(self) -> str:
        """One line for a screen."""
        good = f"{self.plausible} pass" if self.plausible else f"best turns {self.best} outcomes green"
        return f"repair: {self.tried} of at most {self.planned} candidates tried, {good}; in {self.where or 'the tests'}"


@dataclass(frozen=True, slots=True)
class Proposals:
    """What a search came to. `message` says why there is no patch."""

    patches: tuple[Proposal, ...] = ()
    message: str = ""
    tried: int = 0
    """Candidates judged."""
    seconds: float = 0.0
    seconds_to_first: float | None = None
    candidates_per_s: float | None = None
    statistics: Statistics = field(default_factory=Statistics)


def may_edit_sources(path: str) -> bool:
    """The default rule: never a test and never a conftest."""
    return not is_test_file(path)


def propose(
    workspace: Workspace,
    project: Project,
    failing_tests: Sequence[str],
    *,
    k: int = 5,
    issue_text: str = "",
    effort: int = EFFORT,
    time_limit_s: float = LONGEST_S,
    seed: int = 0,
    may_edit: Callable[[str], bool] = may_edit_sources,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    within: Mapping[str, Sequence[Sequence[int]]] | None = None,
    also: Sequence[str] = (),
) -> Proposals:
    """Search for at most `k` patches that turn `failing_tests` green; the workspace is left as it is.

    `failing_tests` are pytest node ids or dotted unittest names. `issue_text` steers localisation. The search
    is measured in candidates: `effort` at most, of which one that needs fresh imports counts for several, so
    that the same request gives the same answer however busy the machine is. `time_limit_s` wall seconds end it
    only where the caller has no more. The order is the same on every run with the same `seed`, whatever the number
    of `workers` (default: the processors). `within` (path → first and last lines) confines the edits. Of several patches
    those go first that turn more of `also` green: tests that fail too, and need not be of the same cause.

    Raises: SandboxError when the sandbox failed.
    """
    start = time.monotonic()
    if not failing_tests:
        return Proposals(message="there is no failing test to repair")
    if project.python is None:
        return Proposals(message="only Python is repaired, and this project has no Python environment")
    if project.test_command.runner not in ("pytest", "unittest"):
        return Proposals(
            message="candidates are judged by pytest or unittest, and the tests here are run by "
            f"`{project.test_command.command}`"
        )
    paths = _tracked(workspace)
    editable = [path for path in paths if path.endswith(".py") and may_edit(path)]
    question: Question = {
        "root": str(workspace.root),
        "failing": list(failing_tests),
        "editable": editable,
        "tracked": paths,
        "k": k,
        "seed": seed,
        "workers": workers or len(os.sched_getaffinity(0)),
        "hints": hints(issue_text, editable),
        "issue": issue_text[:20_000],
        "arguments": runner_options(project.test_command.command),
        "tops": unittest_tops(project.test_command.command),
        "effort": effort,
        "also": sorted(set(also) - set(failing_tests))[:_MOST_ALSO],
        "within": {path: [list(span) for span in spans] for path, spans in (within or {}).items()},
    }
    found: list[Found] = []
    answer: Result = {"status": "", "message": "", "plausible": [], "stats": {}}
    skip = 0
    tried = 0
    for _ in range(_RESTARTS):
        left_s = max(1.0, time_limit_s - (time.monotonic() - start))
        answer = _run_engine(workspace, project, {**question, "skip": skip}, left_s, on_progress)
        found += answer["plausible"]
        tried += answer["stats"].get("tried", 0)
        if answer["status"] != "damaged" or time.monotonic() - start >= time_limit_s or len(found) >= k:
            break
        skip = max(skip + 1, answer["stats"].get("number", 0))
    proposals = _patches(workspace, found, k)
    stats = answer["stats"]
    return Proposals(
        patches=tuple(proposals),
        message="" if proposals else answer["message"] or "no candidate made the failing tests pass",
        tried=tried,
        seconds=time.monotonic() - start,
        seconds_to_first=stats.get("first_s"),
        candidates_per_s=stats.get("per_s"),
        statistics={**stats, "status": answer["status"], "restarts_at": skip or None},
    )


def _tracked(workspace: Workspace) -> list[str]:
    done = workspace.sandbox.exec(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], timeout=120
    )
    if done.exit_code != 0:
        raise SandboxError(f"git failed in the workspace: {done.output.strip()[-300:]}")
    return sorted({path for path in done.output.split("\0") if path})


def _run_engine(
    workspace: Workspace,
    project: Project,
    question: Question,
    time_limit_s: float,
    on_progress: Callable[[Progress], None] | None,
) -> Result:
    """One engine in a fork of its own; the answer it wrote, or one that says that it left none."""
    with workspace.fork() as fork:
        scratch = fork.sandbox.temporary / f"offline-repair-{uuid.uuid4().hex[:12]}"
        progress = str(scratch / "progress.json")
        request: RepairRequest = {
            **question,
            "time_limit_s": time_limit_s,
            "root": str(fork.root),
            "scratch": str(scratch),
            "result": str(scratch / "result.json"),
            "progress": progress,
        }
        fork.sandbox.write_bytes(scratch / "engine.pyz", engine_archive())
        fork.sandbox.write_bytes(scratch / "request.json", json.dumps(request).encode())
        env = {
            **project.environment(fork.root),
            **fork.env,
            **project.test_command.env,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": str(request["seed"] % 4294967296),
        }
        command = [str(project.python), str(scratch / "engine.pyz"), str(scratch / "request.json")]
        timeout = time_limit_s + _GRACE_S
        try:
            done = _watched(
                lambda: fork.sandbox.exec(command, timeout=timeout, env=env),
                lambda: _progress(fork, progress, on_progress),
            )
            try:
                return json.loads(fork.sandbox.read_bytes(request["result"]))
            except (OSError, ValueError):
                seen = _progress(fork, progress, None)
                return {
                    "status": "damaged" if seen.get("number") else "error",
                    "message": f"the repair engine left no answer (exit code {done.exit_code}): "
                    + done.output.strip()[-300:].replace("\n", " | "),
                    "plausible": [],
                    "stats": seen,
                }
        finally:
            fork.sandbox.exec(["rm", "-rf", str(scratch)], timeout=60)


def _watched(work: Callable[[], ExecResult], look: Callable[[], object]) -> ExecResult:
    """`work()` in a thread, `look()` every half second meanwhile."""
    outcome: list[ExecResult | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # handed to the caller's thread below
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while True:
        thread.join(0.5)
        if not thread.is_alive():
            break
        look()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _progress(fork: Workspace, path: str, on_progress: Callable[[Progress], None] | None) -> Stats:
    try:
        seen = json.loads(fork.sandbox.read_bytes(path))
    except (OSError, ValueError):
        return {}
    if on_progress is not None:
        on_progress(Progress(seen["tried"], seen["plausible"], seen["planned"], seen["best"], seen["where"]))
    return seen


def _patches(workspace: Workspace, found: Sequence[Found], k: int) -> list[Proposal]:
    proposals: list[Proposal] = []
    hashes: set[str] = set()
    for item in found:
        if len(proposals) >= k:
            break
        edits: list[tuple[str, str, str]] = []
        with workspace.fork() as fork:
            for path, text in item["sources"].items():
                old = fork.read_text(path)
                edits += [(path, one, two) for one, two in unique_edits(old, text)]
                fork.write_text(path, text)
            patch = fork.diff()
        key = patch.normalised_hash()
        if key in hashes or not edits:
            continue
        hashes.add(key)
        files = tuple(sorted(item["sources"]))
        proposals.append(
            Proposal(patch, tuple(edits), len(proposals) + 1, " + ".join(item["templates"]), files)
        )
    return proposals
