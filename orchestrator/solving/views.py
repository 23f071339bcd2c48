"""write_views: the record and the page of a finished run, derived from its event log."""

from __future__ import annotations

from collections.abc import Callable

from ...tools.errors import RecordError
from .run_directory import RunDirectory


def write_views(run: RunDirectory, warn: Callable[[str], None]) -> None:
    """Write `trajectory.jsonl` and `report.html`. The run has its result already: what fails here is told to
    `warn` and can be made again from `events.jsonl`."""
    from ..pages.run_page import write_run_page
    from ..record.build import build_run

    try:
        run.replace("trajectory.jsonl", build_run(run.path).model_dump_json() + "\n")
    except RecordError as error:
        warn(f"trajectory.jsonl was not written: {error}")
    try:
        write_run_page(run, run.path / "report.html")
    except OSError as error:
        warn(f"report.html was not written: {error}")
