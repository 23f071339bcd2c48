"""replay: a recorded run once more, with the model's answers from its record."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import UsageError
from ..record.journal import Journal
from ..record.log import read_events
from ..record.recorder import Listener
from ..request import SolveRequest
from .run_directory import RunDirectory
from .solve import solve


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay came to."""

    identical: bool
    line: str


def replay_run(run: RunDirectory, repository: Path | None, output: Path | None, listener: Listener) -> Replay:
    """Replay a finished run in a fresh run directory. Its patch must be byte-identical and every step's tree
    the same. Raises: UsageError for an unfinished run or a repository that is gone; RecordError saying where
    the replay diverges."""
    summary = run.read()
    if not summary.get("finished"):
        raise UsageError(f"{run.path} has not finished: go on with it first (solve --resume {run.path})")
    try:
        request = SolveRequest.from_json(summary["request"])
        base, recorded = str(summary["result"]["base_commit"]), str(summary["result"]["patch"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{run.path / 'run.json'} is damaged (no whole request and result): it cannot be replayed"
        ) from error
    where = repository or request.repository
    if not where.exists():
        raise UsageError(f"{where} is gone: name a checkout with --repo")
    if not request.include_dirty:
        request = request.model_copy(update={"base": base})
    with tempfile.TemporaryDirectory(prefix="swe-agent-replay-") as scratch:
        again = RunDirectory.new(run.path.name, output or Path(scratch) / run.path.name)
        if (run.path / "pictures").is_dir():  # what was sent then, not what their hosts have now
            shutil.copytree(run.path / "pictures", again.path / "pictures")
        journal = Journal(read_events(run.events), replay=True)
        try:
            result = asyncio.run(
                solve(
                    request.model_copy(update={"repository": where}),
                    again,
                    listener=listener,
                    journal=journal,
                )
            )
        finally:
            again.release()
    if result.patch != recorded:
        return Replay(
            False, "the replay's patch differs from the recorded one, although every call was the same"
        )
    return Replay(True, f"identical: {len(journal.tree_hashes)} trees and a patch of {len(recorded)} bytes")
