"""Fold: the parts of a record as its events are read."""

from __future__ import annotations

import re

from ...tools.errors import RecordError
from .draft import (
    AgentDraft,
    EvaluationDraft,
    MessageDraft,
    ModelCallDraft,
    NodeDraft,
    OutcomeDraft,
    PatchDraft,
    RecordDraft,
    SelectedDraft,
    TaskDraft,
    TokensDraft,
    ToolsetDraft,
    TotalsDraft,
)
from .event import Line
from .surrogates import without_surrogates
from .task import task_of

_SECRET = re.compile(r"(?i)(api_?keys?|token$|secret|password|credential|authorization)")


class Fold:
    """The parts of a record as they grow."""

    def __init__(self, losses: list[str]) -> None:
        self.started: Line | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.finished_at: float | None = None
        self.agents: dict[str, AgentDraft] = {}
        self.toolsets: dict[str, ToolsetDraft] = {}
        self.messages: list[MessageDraft] = []
        self.calls: list[ModelCallDraft] = []
        self.nodes: dict[str, NodeDraft] = {}
        self.evaluations: list[EvaluationDraft] = []
        self.patches: dict[str, PatchDraft] = {}
        self.selected: SelectedDraft | None = None
        self.outcome: OutcomeDraft = {}
        self.tokens: dict[str, TokensDraft] = {}
        self.begun: dict[str, float | None] = {}
        self.reproduced: TaskDraft = {}
        self.kept: set[str] = set()
        """Tests that passed on the base commit and are not flaky."""
        self.whole = True
        self.removed: dict[str, list[str]] = {}
        """SHA-256 of a cleaned patch → what hygiene took out of it."""
        self.said: set[str] = set()
        self.called: set[str] = set()
        self.failed_calls = 0
        self.replayed = False
        self.losses = losses

    def data(self) -> RecordDraft:
        start = self.started
        if start is None:
            raise RecordError("the event log holds no run_started event: nothing was recorded")
        config = {key: value for key, value in (start.get("config") or {}).items() if not _SECRET.search(key)}
        data: RecordDraft = {
            "run_id": start["run_id"],
            "task": {**task_of(start), **self.reproduced},
            "agents": list(self.agents.values()),
            "toolsets": list(self.toolsets.values()),
            "messages": self.messages,
            "calls": self.calls,
            "nodes": list(self.nodes.values()),
            "evaluations": self.evaluations,
            "patches": list(self.patches.values()),
            "selected": self.selected,
            "outcome": {**self.outcome, "resolved": self._resolved()},
            "provenance": {
                "versions": {key: str(value) for key, value in (start.get("versions") or {}).items()},
                "config": config,
                "seed": start.get("seed"),
                "started_at": self.first_at,
                "finished_at": self.finished_at,
                "replayed": self.replayed,
            },
            "totals": self._totals(),
            "losses": self.losses,
        }
        unused = [call["message"] for call in self.calls if call["message"] not in self.said]
        if unused:
            data["calls"] = [call for call in self.calls if call["message"] in self.said]
            self.losses.append(f"answers paid for and not used before the run ended: {', '.join(unused)}")
        for patch in self.patches.values():
            patch["removed_by_hygiene"] = patch.get("removed_by_hygiene") or self.removed.get(
                patch["sha256"], []
            )
        self._add_unfinished_nodes()
        data["nodes"] = list(self.nodes.values())
        speaker = {message["id"]: message["agent"] for message in self.messages}
        for node in self.nodes.values():  # tips may be named by role
            tips = node.get("tips") or {}
            node["tips"] = {
                name if name in self.agents else speaker.get(tip, name): tip for name, tip in tips.items()
            }
        for message in self.messages:
            message["tokens"] = message.get("tokens") or self.tokens.get(message["id"])
        cleaned, lost = without_surrogates(data)
        if lost:
            cleaned["losses"].append(f"{lost} characters that are not Unicode text were replaced by U+FFFD")
        return cleaned

    def _add_unfinished_nodes(self) -> None:
        """A node is told when it is over; what was said in one before the run ended belongs to it all the same."""
        said = [
            item["node"]
            for item in (*self.messages, *self.patches.values(), *self.evaluations)
            if item["node"]
        ]
        missing = [node for node in dict.fromkeys(said) if node not in self.nodes]
        for node in sorted(missing, key=lambda name: (name.count("."), name)):
            parent = node.rpartition(".")[0]
            above = self.nodes.get(parent)
            self.nodes[node] = {
                "id": node,
                "parent": parent if above is not None else None,
                "kind": "unfinished",
                "depth": above["depth"] + 1 if above is not None else 0,
            }
            self.losses.append(f"node {node} was not over when the run ended")

    def _totals(self) -> TotalsDraft:
        def total(name: str) -> int | float | None:
            values = [call["usage"].get(name) for call in self.calls if call["message"] in self.said]
            known = [value for value in values if value is not None]
            return sum(known) if values and len(known) == len(values) else None

        return {
            "calls": len(self.called & self.said),
            "failed_calls": self.failed_calls,
            "prompt_tokens": total("prompt_tokens"),
            "completion_tokens": total("completion_tokens"),
            "cost_usd": total("cost_usd"),
            "wall_s": between(self.first_at, self.last_at),
        }

    def _resolved(self) -> bool | None:
        node = self.selected["node"] if self.selected is not None else None
        verdict: bool | None = None
        for found in self.evaluations:
            if found["kind"] == "hidden" and found["valid"] and node is not None and found["node"] == node:
                counts = [pair for pair in (found.get("f2p"), found.get("p2p")) if pair is not None]
                verdict = all(passed == total for passed, total in counts) if counts else None
        return verdict


def between(start: float | None, end: float | None) -> float | None:
    return round(end - start, 3) if start is not None and end is not None else None
