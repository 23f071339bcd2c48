"""proposeRepairs: the search for repairs as a tool that a role may call."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NotRequired, TypedDict

from ...tools.project.spec import Project
from ...tools.toolbox.tool import Tool, ToolResult
from ...tools.workspace import Workspace
from .propose import EFFORT, LONGEST_S, Progress, Proposals, may_edit_sources, propose

_EVERY_S = 5.0


def paced(tell: Callable[[str], None]) -> Callable[[Progress], None]:
    """Hears of every progress and tells it now and then."""
    last = [time.monotonic()]

    def hear(seen: Progress) -> None:
        if seen.tried and time.monotonic() - last[0] >= _EVERY_S:
            last[0] = time.monotonic()
            tell(seen.line())

    return hear


class ProposeArguments(TypedDict):
    failingTests: list[str]
    limit: NotRequired[int]
    candidates: NotRequired[int]


def make_propose_tool(
    workspace: Workspace,
    project: Project,
    issue_text: str = "",
    *,
    effort: int = EFFORT,
    time_limit_s: float = LONGEST_S,
    seed: int = 0,
    may_edit: Callable[[str], bool] = may_edit_sources,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    skip: int = 0,
    within: Mapping[str, Sequence[Sequence[int]]] | None = None,
    also: Sequence[str] = (),
) -> Tool:
    """The proposeRepairs tool over one workspace. Its text is a JSON object {proposals, statistics}; each
    proposal holds `edits` in the shape that editFile takes. The first `skip` proposals go last, so that a
    second search from the same place tries another patch. `within`, `also`: see `propose`."""

    def run(arguments: ProposeArguments) -> ToolResult:
        tests = [test.strip() for test in arguments["failingTests"] if test.strip()]
        found = propose(
            workspace,
            project,
            tests,
            k=(arguments.get("limit") or 5) + skip,
            issue_text=issue_text,
            effort=min(int(arguments.get("candidates") or effort), effort),
            time_limit_s=time_limit_s,
            seed=seed,
            may_edit=may_edit,
            workers=workers,
            on_progress=on_progress,
            within=within,
            also=also,
        )
        text = json.dumps(_as_json(found, skip), ensure_ascii=False, indent=1)
        return ToolResult(text, ok=bool(found.patches or found.tried), data={"proposals": found})

    return Tool(
        "proposeRepairs",
        "Search for small edits that make failing tests pass, by running many candidate edits; no language "
        "model is involved. Returns ranked proposals whose edits can be given to editFile as they are. A "
        "proposal passes the tests that were run; whether it is right is for you to judge.",
        {
            "type": "object",
            "properties": {
                "failingTests": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string"},
                    "description": "Ids of failing tests, as runTests prints them.",
                },
                "limit": {"type": "integer", "minimum": 1, "maximum": 20, "description": "Proposals wanted."},
                "candidates": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "Candidates to try at most.",
                },
            },
            "required": ["failingTests"],
            "additionalProperties": False,
        },
        run,
    )


def _as_json(found: Proposals, skip: int) -> dict[str, object]:
    proposals = []
    turn = skip % len(found.patches) if found.patches else 0
    for proposal in (*found.patches[turn:], *found.patches[:turn]):
        files: dict[str, list[dict[str, str]]] = {}
        for path, old, new in proposal.edits:
            files.setdefault(path, []).append({"oldText": old, "newText": new})
        proposals.append(
            {
                "rank": proposal.rank,
                "template": proposal.template,
                "edits": [{"path": path, "edits": edits} for path, edits in files.items()],
                "wholeSuitePassed": proposal.whole_suite,
            }
        )
    return {
        "proposals": proposals,
        "message": found.message,
        "statistics": {
            "candidates": found.tried,
            "seconds": round(found.seconds, 2),
            "secondsToFirst": None if found.seconds_to_first is None else round(found.seconds_to_first, 2),
            "candidatesPerSecond": None
            if found.candidates_per_s is None
            else round(found.candidates_per_s, 1),
        },
    }
