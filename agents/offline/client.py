"""OfflineRepairClient: the roles played by a program, through real tool calls.

It is not a language model: a deterministic function of the messages and tool schemas it is given, without
state between calls, so a conversation can be forked, resumed and replayed like any other. It costs no
tokens. What it knows it learns from tools: runTests, proposeRepairs, editFile, undo, diff.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from .reading import Turn, broken_in, failing_in, message_in, proposals_in, read_run, read_turn

MODEL = "offline/repair"
NEEDS_TEST = "needs a failing test, or a language model: see --model"

Move = tuple[str, Sequence[tuple[str, Mapping[str, object]]]]
"""What is said, and the calls to make."""


class OfflineRepairClient(ChatCompletionClient):
    """AutoGen's model interface over the repair engine; the tools do the work."""

    is_llm = False

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, object] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The next message: calls to some of `tools`, or words when none of them is of use."""
        schemas = {schema["name"]: schema for schema in map(_schema, tools)}
        turn = read_turn(messages)
        said, calls = next_move(turn, schemas)
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        if not calls:
            return CreateResult(finish_reason="stop", content=said, usage=usage, cached=False)
        content = [
            FunctionCall(id=f"offline-{turn.messages}-{number}", name=name, arguments=json.dumps(arguments))
            for number, (name, arguments) in enumerate(calls)
        ]
        return CreateResult(
            finish_reason="function_calls", content=content, usage=usage, cached=False, thought=said
        )

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, object] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        yield await self.create(messages, tools=tools)

    async def close(self) -> None:
        """Nothing is held."""

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return 0

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()
    ) -> int:
        return 1 << 30

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=False,
            family="unknown",
            structured_output=False,
            multiple_system_messages=True,
        )

    @property
    def capabilities(self) -> ModelInfo:  # type: ignore[override]
        return self.model_info


def _schema(tool: Tool | ToolSchema | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(tool, Mapping):
        return tool.get("function", tool)
    return tool.schema


def next_move(turn: Turn, schemas: Mapping[str, Mapping[str, Any]]) -> Move:
    """What a role does next. The role is told by the arguments that its `finish` takes."""
    finish = schemas.get("finish", {}).get("parameters", {}).get("properties", {})
    if "failingTests" in finish:
        return _tester(turn, schemas)
    if "accept" in finish:
        return _critic(turn, schemas)
    if "gaveUp" in finish or "proposeRepairs" in schemas:
        return _writer(turn, schemas)
    return ("I am a program, not a language model, and none of these tools is one that I can use.", [])


def _tester(turn: Turn, schemas: Collection[str]) -> Move:
    """Run the tests; name those that fail, of which only those that the issue names when it names some."""
    runs = turn.of("runTests")
    if not runs and "runTests" in schemas:
        known = failing_in(turn.task)
        if known:
            return "Running the tests that are said to fail.", [("runTests", {"tests": known})]
        return "Running the whole suite to see what fails.", [("runTests", {})]
    seen = read_run(runs[-1].text) if runs else None
    failing = list(seen.failing) if seen else failing_in(turn.task)
    # What is not installed here cannot be repaired, and says nothing about the code.
    failing = [test for test in failing if not seen or test not in seen.lacking] or failing
    named = [test for test in failing if test in turn.task.split() or _name(test) in _words(turn.task)]
    failing = (named if named and not failing_in(turn.task) else failing)[:200]
    if not failing:
        finish = {"summary": NEEDS_TEST, "failingTests": [], "reproduced": False}
        return NEEDS_TEST, [("finish", finish)]
    summary = f"{len(failing)} failing test(s) found by running the suite; judged by outcomes alone."
    return summary, [("finish", {"summary": summary, "failingTests": failing, "reproduced": True})]


def _name(test: str) -> str:
    return test.split("::")[-1].split("[")[0].split(".")[-1]


def _words(text: str) -> set[str]:
    return {word.strip("`'\"()[],:;.") for word in text.split()}


def _writer(turn: Turn, schemas: Collection[str]) -> Move:
    """Coder, Debugger, single agent: propose, edit, run, take back what breaks something, go on."""
    tests = list(dict.fromkeys([*failing_in(turn.task), *broken_in(turn.task)]))
    if not tests:
        runs = turn.of("runTests")
        if not runs and "runTests" in schemas:
            return "No failing test was named; running the suite.", [("runTests", {})]
        tests = list(read_run(runs[0].text).failing) if runs else []
    if not tests:
        return _give_up(NEEDS_TEST)
    if "proposeRepairs" not in schemas:
        return _give_up("There is no proposeRepairs tool here, and without it this program cannot repair.")
    tests = tests[:200]
    asked = turn.of("proposeRepairs")
    offers = [
        (number, proposal) for number, step in enumerate(asked) if step.ok for proposal in proposals_in(step)
    ]
    tried = _tried(turn)
    if tried is not None:
        done = _after_edit(turn, tried, offers, tests)
        if done is not None:
            return done
    taken = sum(1 for step in turn.steps if step.name == "undo" and step.ok) if offers else 0
    position = _position(turn, offers)
    if position < len(offers):
        proposal = offers[position][1]
        calls = [("editFile", {"path": edit["path"], "edits": edit["edits"]}) for edit in proposal["edits"]]
        return f"Trying proposal {position + 1} of {len(offers)} ({proposal.get('template', '')}).", calls
    if not asked:
        return f"Searching for edits that turn {len(tests)} failing test(s) green.", [
            ("proposeRepairs", {"failingTests": tests})
        ]
    if taken:
        return _give_up(
            "Every edit that makes the failing tests pass breaks another test; nothing was left changed."
        )
    if not asked[0].ok and not message_in(asked[0]):
        return _give_up(f"The search could not be made: {asked[0].text.strip()[:300]}")
    why = message_in(asked[0]) or "no edit was found that makes the failing tests pass"
    head = "Nothing was found" if asked[0].ok else "No edit could be tried"
    return _give_up(
        f"{head}: {why}. The search makes edits of known kinds only; a language model may get further: see --model."
    )


def _position(turn: Turn, offers: Sequence[Any]) -> int:
    """How many proposals were tried: batches of editFile calls, each begun after something else."""
    count, editing = 0, False
    for step in turn.steps:
        if step.name == "editFile":
            count += not editing
            editing = True
        else:
            editing = False
    return count


def _tried(turn: Turn) -> list[int] | None:
    """Indices of the steps since (and with) the last batch of edits; None when that was taken back."""
    last = None
    for index, step in enumerate(turn.steps):
        if step.name == "editFile" and (index == 0 or turn.steps[index - 1].name != "editFile"):
            last = index
    return None if last is None else list(range(last, len(turn.steps)))


def _after_edit(
    turn: Turn, indices: Sequence[int], offers: Sequence[Any], wanted: Sequence[str]
) -> Move | None:
    """What follows a batch of edits; None when it is closed and the next proposal is due."""
    steps = [turn.steps[index] for index in indices]
    edits = [step for step in steps if step.name == "editFile"]
    made = sum(step.ok for step in edits)
    undone = sum(step.ok for step in steps if step.name == "undo")
    runs = [step for step in steps if step.name == "runTests"]
    if undone >= made and (made or any(not step.ok for step in edits)):
        return None
    back: Move = ("Taking the edit back.", [("undo", {})] * (made - undone))
    if any(step.name == "undo" and not step.ok for step in steps):
        return _give_up("An edit could not be taken back.")
    if made < len(edits):
        return back
    if not runs:
        return "Running the whole suite on the edited tree.", [("runTests", {})]
    seen = read_run(runs[-1].text)
    still = set(seen.failing) & set(wanted)
    if (seen.broken or still) and not seen.killed:
        return back
    paths = ", ".join(dict.fromkeys(str(step.arguments.get("path", "")) for step in edits))
    summary = (
        f"Edited {paths}: an edit found by search passes the tests that failed and breaks none that was run. "
        "It was chosen by tests alone, without understanding the issue."
    )
    return summary, [("finish", {"summary": summary, "gaveUp": False})]


def _give_up(why: str) -> Move:
    return why, [("finish", {"summary": why, "gaveUp": True})]


def _critic(turn: Turn, schemas: Collection[str]) -> Move:
    """Accept exactly when something was fixed and nothing broken, and say that only tests were asked."""
    if "diff" in schemas and not turn.of("diff"):
        return "Looking at the patch.", [("diff", {})]
    if "runTests" in schemas and not turn.of("runTests"):
        return "Running the tests.", [("runTests", {})]
    runs, diffs = turn.of("runTests"), turn.of("diff")
    seen = read_run(runs[-1].text) if runs else None
    fixed = "\nFIXED " in "\n" + turn.task or bool(seen and seen.fixed)
    broken = bool(broken_in(turn.task)) or bool(seen and seen.broken)
    failed = bool(failing_in(turn.task))
    good = fixed and not broken and not failed
    size = (
        sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in diffs[-1].text.splitlines())
        if diffs
        else 10
    )
    scores = {
        "addressesIssue": 7.0 if fixed and not failed else 1.0,
        "safeForCallers": 7.0 if not broken else 0.0,
        "minimal": max(0.0, 10.0 - 0.5 * size),
        "honest": 5.0,
    }
    rationale = (
        f"Judged by tests only, by a program: something was fixed: {'yes' if fixed else 'no'}; "
        f"something was broken: {'yes' if broken else 'no'}; still failing: {'yes' if failed else 'no'}."
    )
    return rationale, [("finish", {"accept": good, "scores": scores, "rationale": rationale})]
