"""The roles: what each is told, what each may use, and how each finishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..tools.errors import UsageError
from ..tools.testing.test_files import is_test_file
from ..tools.toolbox.tool import Tool, ToolResult
from ..tools.toolbox.tool_schema import JsonSchema

READ = ("readFile", "search", "findFiles", "fileMap", "runTests", "diff")
WRITE = (*READ, "writeFile", "editFile", "undo", "shell")


def _anything(path: str) -> bool:
    return True


def _nothing(path: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Role:
    """One of the team. `finish` is the schema of its `finish` arguments; `tools` names built-in tools and
    those of installed packages."""

    name: str
    template: str
    tools: Sequence[str]
    finish: JsonSchema
    may_write: Callable[[str], bool] = _nothing
    prompt: str = ""
    """Text of a template in place of `template`."""

    @property
    def writes(self) -> bool:
        return self.may_write is not _nothing


def _object(required: Sequence[str], **properties: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_SUMMARY: JsonSchema = {"type": "string", "description": "What you found and did, in a few sentences."}
_GAVE_UP: JsonSchema = {"type": "boolean", "description": "True when you could not solve it."}
_SCORE: JsonSchema = {"type": "number", "minimum": 0, "maximum": 10}
CRITERIA = ("addressesIssue", "safeForCallers", "minimal", "honest")

_WORK = _object(["summary"], summary=_SUMMARY, gaveUp=_GAVE_UP)

CODER = Role("coder", "coder", WRITE, _WORK, _anything)
DEBUGGER = Role("debugger", "debugger", WRITE, _WORK, _anything)
SINGLE = Role("single", "single", WRITE, _WORK, _anything)
TESTER = Role(
    "tester",
    "tester",
    (*READ, "writeFile", "editFile", "undo"),
    _object(
        ["summary", "failingTests", "reproduced"],
        summary=_SUMMARY,
        failingTests={
            "type": "array",
            "items": {"type": "string"},
            "description": "Ids of the tests that fail because of the issue, as runTests prints them.",
        },
        reproduced={"type": "boolean", "description": "Whether a test fails for the issue's reason."},
    ),
    is_test_file,
)
CRITIC = Role(
    "critic",
    "critic",
    READ,
    _object(
        ["accept", "scores", "rationale"],
        accept={"type": "boolean", "description": "Whether you would merge the patch as it is."},
        scores=_object(CRITERIA, **dict.fromkeys(CRITERIA, _SCORE)),
        rationale={"type": "string", "description": "What decided; if rejected, what to change."},
    ),
)
ROLES = {role.name: role for role in (CODER, DEBUGGER, SINGLE, TESTER, CRITIC)}


def stand_in(name: str, offered: Role) -> Role:
    """The role of a package in the place of one of ours. It writes what that one may write, and its `finish` says
    what the orchestrator reads. Raises: UsageError."""
    place = ROLES[name]
    lacking = set(place.finish.get("required", ())) - set(offered.finish.get("properties", ()))
    if lacking:
        raise UsageError(
            f"a role in the place of {name} must say {', '.join(sorted(lacking))} when it finishes"
        )
    return replace(offered, name=name, may_write=place.may_write)


def finish_tool(role: Role, accept: Callable[[Mapping[str, object]], str | None]) -> Tool:
    """The role's `finish`. `accept` sees the arguments and answers None, or why the work is not done."""

    def run(arguments: Mapping[str, object]) -> ToolResult:
        why_not = accept(arguments)
        return ToolResult(why_not, ok=False) if why_not else ToolResult("Done.", data=dict(arguments))

    return Tool("finish", "End your turn. Nothing after it is read.", role.finish, run)
