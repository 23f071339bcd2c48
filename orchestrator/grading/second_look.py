"""second_look: a resolved prediction's own tests run once more, to see whether they passed by right.

The official rules say what is resolved; nothing here changes it. What is found goes to the tamper flag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from ...tools.patch import Patch
from ...tools.project.spec import Project, TestCommand
from ...tools.sandbox import Sandbox
from ...tools.testing.doubt import MOST, suspicions
from ...tools.testing.report import ENDED_EARLY
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace
from .native import NativeEnvironment

_LONGEST_S = 300.0


def second_look(
    sandbox: Sandbox, project: Project, patch: str, commit: str, tests: Collection[str]
) -> tuple[str, ...]:
    """What is odd about `tests` (ids of pytest's, of which MOST are looked at) that pass in `sandbox`, where `patch`
    is applied and the tests are in place. Raises: SandboxError."""
    asked = sorted(test for test in tests if "::" in test)[:MOST]
    if not asked:
        return ()
    judged = Workspace(sandbox, commit, env=project.env)
    own = frozenset(Patch(patch).files)

    @contextmanager
    def base() -> Iterator[Workspace]:
        with judged.fork() as untouched:
            data = patch.encode("utf-8", "surrogateescape")
            untouched.sandbox.exec(
                ["git", "apply", "-R", "--whitespace=nowarn", "-"], stdin=data, timeout=120
            )
            yield untouched

    with TestRunner(project, warm=False) as runner:
        with judged.fork() as fork:
            report = runner.run(fork, asked, timeout=_LONGEST_S, cold=True)
        found = [*report.marks]
        if found:
            with base() as untouched:
                known = runner.run(untouched, asked, timeout=_LONGEST_S, cold=True).marks
            found = [mark for mark in found if mark not in known]
        if not report.ended and not report.timed_out:
            found.append(ENDED_EARLY)
        passing = report.passing & frozenset(asked)
        found += suspicions(
            runner,
            judged,
            passing,
            base=base,
            is_own=lambda path: not path or path in own,
            timeout=_LONGEST_S,
        )
    return tuple(dict.fromkeys(found))


def project_of(environment: NativeEnvironment) -> Project:
    """How a native environment's tests are run one by one, by pytest."""
    return Project(
        TestCommand("python -m pytest", "pytest"),
        environment.venv / "bin/python",
        (environment.venv, environment.prefix),
        environment.env,
    )
