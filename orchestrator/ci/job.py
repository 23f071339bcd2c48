"""Job: what was decided about an event, as files of one folder that the steps of a workflow hand on.

`plan.json` (this value), `issue.md`, `repository/` (a clone at the base commit), `result.json` (what
`solve --json` printed) and `run/`. The step that solves reads no token and the folder holds none.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from .event import Kind


@dataclass(frozen=True, slots=True)
class CiJob:
    """One piece of work of an automation."""

    kind: Kind
    repository: str
    """owner/repo"""
    server: str
    api: str
    actor: str
    number: int | None
    """Issue or pull request that gets the answer; None: a failed run, which has none."""
    title: str
    branch: str
    """Where the commit goes."""
    base_branch: str
    """Where a pull request is to be merged; "" when the branch's own pull request is open."""
    base_commit: str
    clone_url: str
    reference: str
    """URL of what asked for it."""
    draft: bool = True

    @property
    def closes(self) -> str:
        return f"Closes #{self.number}" if self.kind == "issue" else ""

    def write(self, folder: Path, issue: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "issue.md").write_text(issue, encoding="utf-8", errors="replace")
        (folder / "plan.json").write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> CiJob:
        """Raises: UsageError."""
        try:
            return cls(**json.loads((folder / "plan.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise UsageError(f"{folder} holds no plan: run `swe-agent ci plan` first") from None
        except (ValueError, TypeError) as error:
            raise UsageError(f"{folder / 'plan.json'} is damaged: {error}") from error


def read_result(folder: Path) -> dict[str, Any] | None:
    """What `solve --json` printed; None: it ended without a result."""
    try:
        data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None
