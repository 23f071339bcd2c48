"""record_of: conversations of one instance as one record, each a root of its own.

What begins alike then stands side by side, so that `dpo` can pair it. What the files do not say stays null.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ...record.build import validated
from ...record.draft import (
    AgentDraft,
    EvaluationDraft,
    MessageDraft,
    ModelCallDraft,
    NodeDraft,
    PartsDraft,
    PatchDraft,
    ToolsetDraft,
)
from ...record.invariants import check
from ...record.schema import Trajectory
from ...record.tokens import TokenLedger
from ...record.tool_arguments import parsed
from .transcript import ImportedMessage, Transcript

IMPORTED = "imported"
"""Kind of the nodes."""
VERDICT = "the instance's tests"
"""The verdict of a foreign report stands as one test: how many there were is not known."""


def record_of(conversations: Sequence[Transcript], resolved: bool | None = None) -> Trajectory:
    """All of the same instance. `resolved` is what a report says, where the files themselves say nothing.
    Raises: RecordError naming the invariant that a file breaks."""
    first = conversations[0]
    writer = _Writer()
    for number, talk in enumerate(conversations):
        writer.add(number, talk, talk.resolved if talk.resolved is not None else resolved)
    digest = hashlib.sha256(
        repr([(talk.format, talk.messages) for talk in conversations]).encode()
    ).hexdigest()
    record = validated(
        {
            "run_id": f"{first.format}-{digest[:12]}",
            "task": {
                "instance_id": first.instance,
                "repository": first.repository,
                "base_commit": first.base_commit,
                "problem_statement": first.problem or "",
                "source": "dataset",
            },
            **writer.parts(),
        }
    )
    check(record)
    return record


class _Writer:
    """Collects the parts of one record."""

    def __init__(self) -> None:
        self.agents: dict[str, AgentDraft] = {}
        self.toolsets: dict[str, ToolsetDraft] = {}
        self.messages: list[MessageDraft] = []
        self.calls: list[ModelCallDraft] = []
        self.nodes: list[NodeDraft] = []
        self.patches: list[PatchDraft] = []
        self.evaluations: list[EvaluationDraft] = []
        self.losses: list[str] = []
        self.tokens = TokenLedger()

    def add(self, number: int, talk: Transcript, resolved: bool | None) -> None:
        node, agent = f"n{number}", f"single:{talk.format}:{talk.model}"
        if talk.tools:
            self.toolsets[agent] = {"name": agent, "tools": list(talk.tools)}
        self.agents[agent] = {
            "name": agent,
            "role": "single",
            "model": talk.model,
            "is_llm": True,
            "toolset": agent if talk.tools else None,
        }
        tip = self._messages(node, agent, talk)
        patch = talk.patch if talk.patch and talk.patch.strip() else None
        if patch is not None:
            sha = hashlib.sha256(patch.encode("utf-8", "backslashreplace")).hexdigest()
            self.patches.append({"id": f"p{number}", "node": node, "text": patch, "sha256": sha})
        if resolved is not None:
            verdict = {VERDICT: "passed" if resolved else "failed"}
            found: EvaluationDraft = {
                "node": node,
                "kind": "hidden",
                "f2p": (int(resolved), 1),
                "tests": verdict,
                "valid": True,
            }
            self.evaluations.append(found)
        self.nodes.append(
            {
                "id": node,
                "kind": IMPORTED,
                "depth": 0,
                "agent": agent,
                "tips": {agent: tip} if tip else {},
                "patch": f"p{number}" if patch is not None else None,
                "terminal": True,
                "exit_status": "infrastructure" if talk.exit == "error" else "finished",
                "flags": [f"exit: {talk.exit}"] if talk.exit else [],
            }
        )

    def _messages(self, node: str, agent: str, talk: Transcript) -> str | None:
        parent: str | None = None
        above: str | None = None
        names: dict[str, str] = {}
        now: dict[str, str] = {}
        open_calls: set[str] = set()
        for place, said in enumerate(talk.messages):
            id = f"{node}/{place}"
            calls = []
            for call, name, arguments in said.calls if said.role == "assistant" else ():
                now[call] = unique = (
                    call if call and call not in names else f"{call or 'call'}-{place}-{len(calls)}"
                )
                names[unique] = name
                open_calls.add(unique)
                function = {"name": name, "arguments": arguments}
                calls.append({"id": unique, "function": function, "arguments_parsed": parsed(arguments)})
            answers = now.get(said.answers or "") if said.role == "tool" else None
            role = said.role if said.role != "tool" or answers in open_calls else "user"
            answers = answers if role == "tool" else None
            open_calls.discard(answers or "")
            message: MessageDraft = {
                "id": id,
                "parent": parent,
                "agent": agent,
                "node": node,
                "role": role,
                "content": said.content,
                "reasoning": said.reasoning,
                "tool_calls": calls,
                "tool_call_id": answers,
                "name": names.get(answers) if answers else None,
                "sampled": said.sampled,
            }
            if said.sampled:
                message["tokens"] = self.tokens.tokens(
                    id, above, said.prompt_ids, said.token_ids, said.logprobs
                )
                above = id
                self._call(id, talk.model, said)
            self.messages.append(message)
            parent = id
        return parent

    def _call(self, id: str, model: str, said: ImportedMessage) -> None:
        usage = {
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.completion_tokens,
            "cost_usd": said.cost_usd,
        }
        self.calls.append({"message": id, "model": model, "is_llm": True, "usage": usage})

    def parts(self) -> PartsDraft:
        def total(name: str) -> int | float | None:
            values = [call["usage"][name] for call in self.calls]
            known = [value for value in values if value is not None]
            return sum(known) if values and len(known) == len(values) else None

        return {
            "agents": list(self.agents.values()),
            "toolsets": list(self.toolsets.values()),
            "messages": self.messages,
            "calls": self.calls,
            "nodes": self.nodes,
            "evaluations": self.evaluations,
            "patches": self.patches,
            "outcome": {},
            "provenance": {},
            "totals": {
                "calls": len(self.calls),
                "prompt_tokens": total("prompt_tokens"),
                "completion_tokens": total("completion_tokens"),
                "cost_usd": total("cost_usd"),
            },
            "losses": self.losses,
        }
