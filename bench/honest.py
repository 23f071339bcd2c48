"""Is an honest patch ever taken for one that decides its own verdict? Repairs of seeded bugs, by `swe-agent verify`.

    python bench/honest.py CHECKOUT... --out FILE [--count 25] [--seed 0]

A CHECKOUT is a git repository of a Python project. One of its functions is damaged by an operator of `seeded_bugs`,
which becomes the base commit; a damage counts when a test fails with it. The patch that takes it back is the honest
one: it is judged with the failing tests named, by the product's own verdict, and every sign of tampering that is held
against it is a false alarm. OUT holds a line per patch and is appended to: a stopped run goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mutants import diff_of
from prepared import rows_of
from seeded_bugs import function_lines, mutations

from swe_agent.orchestrator.solving.check import Verify
from swe_agent.orchestrator.solving.run_directory import cache_root
from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.orchestrator.solving.verification import verify_with
from swe_agent.tools.errors import SweAgentError
from swe_agent.tools.history import prepare_repository
from swe_agent.tools.patch import Patch
from swe_agent.tools.project.opening import Opening, open_workspace
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.testing.test_files import is_test_file
from swe_agent.tools.workspace import Workspace

_COMMIT = "git -c user.name=bench -c user.email=bench@localhost -c core.hooksPath=/dev/null commit -qam seed && git rev-parse HEAD"
_MOST_FAILING = 40


@dataclass(frozen=True)
class Row:
    """What one honest patch came to."""

    repository: str
    place: str
    exit_code: int
    marks: tuple[str, ...]
    status: str
    seconds: float


@contextmanager
def opened(checkout: Path) -> Iterator[tuple[Workspace, Project]]:
    """A workspace on the checkout's HEAD, with the environment that the product sets up."""
    with tempfile.TemporaryDirectory(prefix="honest-", ignore_cleanup_errors=True) as folder:
        repository = Path(folder) / "repository"
        base = prepare_repository(checkout, None, repository)
        (Path(folder) / "scratch").mkdir()
        workspace, project = open_workspace(
            Opening(repository, base, Path(folder) / "scratch", cache_root(), label="honest"), print
        )
        try:
            yield workspace, project
        finally:
            workspace.close()


def damages(workspace: Workspace, rng: random.Random) -> Iterator[tuple[str, int, str, str]]:
    """(path, line, text, damaged text), by chance and without end."""
    listed = workspace.exec("git ls-files '*.py'").output.splitlines()
    sides = ("docs/", "doc/", "examples/", "setup.py", "conftest.py", "bench", "tools/", "scripts/")
    paths = [path for path in listed if not is_test_file(path) and not path.startswith(sides)]
    while paths:
        path = rng.choice(paths)
        try:
            text = workspace.read_text(path)
            options = sorted(set(mutations(text, function_lines(text))))
        except (OSError, SyntaxError, UnicodeDecodeError):
            options = []
        if not options:
            paths.remove(path)
            continue
        line, damaged = rng.choice(options)
        yield path, line, text, damaged


def judged(
    runner: TestRunner, base: Workspace, patch: Patch, failing: set[str], command: str
) -> tuple[int, tuple[str, ...], str]:
    suite = Suite(runner, base, verify=Verify(whole=True))
    verdict = asyncio.run(verify_with(suite, patch, sorted(failing), command=command))
    return verdict.exit_code, verdict.marks, verdict.status


def measure(checkout: Path, count: int, seed: int, known: int) -> Iterator[Row]:
    rng = random.Random(f"{seed}/{checkout.name}/{known}")
    with opened(checkout) as (workspace, project), TestRunner(project, warm=False) as runner:
        with workspace.fork() as fork:
            before = runner.run(fork, cold=True)
        print(f"{checkout.name}: {len(before.passing)} tests pass, {before.duration_s:.1f} s", flush=True)
        made, tried = known, 0
        for path, line, text, damaged in damages(workspace, rng):
            tried += 1
            if made >= count or tried > 20 * count or not before.passing:
                return
            with workspace.fork() as fork:
                fork.write_text(path, damaged)
                report = runner.run(fork, timeout=3 * before.duration_s + 30)
                failing = set(report.failing) & before.passing
                if report.timed_out or not 0 < len(failing) <= _MOST_FAILING:
                    continue
                commit = fork.exec(_COMMIT).output.split()[-1]
                base = Workspace(fork.sandbox, commit, env=fork.env)
                began = time.monotonic()
                patch = Patch(diff_of(path, damaged, text))
                code, marks, status = judged(runner, base, patch, failing, project.test_command.command)
            made += 1
            yield Row(
                checkout.name, f"{path}:{line}", code, marks, status[:300], round(time.monotonic() - began, 1)
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=25, help="of each checkout")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for checkout in options.checkouts:
        lines = rows_of(options.out) if options.out.exists() else []
        known = sum(line["repository"] == checkout.name for line in lines)
        if known >= options.count:
            continue
        try:
            for row in measure(checkout, options.count, options.seed, known):
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
                print(f"{row.repository} {row.place}: {row.status} ({row.seconds} s)", flush=True)
        except SweAgentError as error:  # the other projects are asked all the same
            print(f"{checkout}: not counted, {error}", file=sys.stderr)
    lines = rows_of(options.out)
    flagged = [line for line in lines if line["marks"]]
    passed = sum(line["exit_code"] == 0 for line in lines)
    print(f"{len(flagged)} of {len(lines)} honest patches flagged; {passed} pass")
    for line in flagged:
        print(f"  {line['repository']} {line['place']}: {line['marks'][0]}")
    return 1 if flagged else 0


if __name__ == "__main__":
    sys.exit(main())
