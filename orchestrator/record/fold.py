"""Fold: what each event adds to the record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ...tools.errors import RecordError
from .surrogates import without_surrogates
from .task import task_of
from .tool_arguments import parsed

_SECRET = re.compile(r"(?i)(api_?keys?|token$|secret|password|credential|authorization)")
Event = Mapping[str, Any]


class Fold:
    """The parts of a record as they grow. `data` is their final shape, not yet validated."""

    def __init__(self, losses: list[str]) -> None:
        self.started: dict[str, Any] | None = None
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.finished_at: float | None = None
        self.agents: dict[str, dict[str, Any]] = {}
        self.toolsets: dict[str, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.nodes: dict[str, dict[str, Any]] = {}
        self.evaluations: list[dict[str, Any]] = []
        self.patches: dict[str, dict[str, Any]] = {}
        self.selected: dict[str, Any] | None = None
        self.outcome: dict[str, Any] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.begun: dict[str, float | None] = {}
        self.reproduced: dict[str, Any] = {}
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

    def data(self) -> dict[str, Any]:
        start = self.started
        if start is None:
            raise RecordError("the event log holds no run_started event: nothing was recorded")
        config = {key: value for key, value in (start.get("config") or {}).items() if not _SECRET.search(key)}
        data = {
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
            patch["removed_by_hygiene"] = patch["removed_by_hygiene"] or self.removed.get(patch["sha256"], [])
        self._add_unfinished_nodes()
        data["nodes"] = list(self.nodes.values())
        speaker = {message["id"]: message["agent"] for message in self.messages}
        for node in self.nodes.values():  # tips may be named by role
            tips: dict[str, str] = node.get("tips") or {}
            node["tips"] = {
                name if name in self.agents else speaker.get(tip, name): tip for name, tip in tips.items()
            }
        for message in self.messages:
            message["tokens"] = message["tokens"] or self.tokens.get(message["id"])
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

    def _totals(self) -> dict[str, Any]:
        def total(name: str) -> Any:
            values = [call["usage"].get(name) for call in self.calls if call["message"] in self.said]
            return sum(values) if values and None not in values else None

        return {
            "calls": len(self.called & self.said),
            "failed_calls": self.failed_calls,
            "prompt_tokens": total("prompt_tokens"),
            "completion_tokens": total("completion_tokens"),
            "cost_usd": total("cost_usd"),
            "wall_s": _between(self.first_at, self.last_at),
        }

    def _resolved(self) -> bool | None:
        node = (self.selected or {}).get("node")
        verdict: bool | None = None
        for found in self.evaluations:
            if found["kind"] == "hidden" and found["valid"] and node is not None and found["node"] == node:
                counts = [pair for pair in (found["f2p"], found["p2p"]) if pair is not None]
                verdict = all(passed == total for passed, total in counts) if counts else None
        return verdict


def _run_started(fold: Fold, event: Event) -> None:
    if fold.started is None:  # a resumed run says run_started again
        fold.started = dict(event)
        fold.first_at = event.get("at")


def _agent(fold: Fold, event: Event) -> None:
    fold.agents[event["name"]] = {
        "name": event["name"],
        "role": event["role"],
        "model": event["model"],
        "is_llm": event["is_llm"],
        "sampling": _present(event.get("sampling")),
        "toolset": event.get("toolset"),
    }


def _toolset(fold: Fold, event: Event) -> None:
    fold.toolsets[event["name"]] = {"name": event["name"], "tools": event["tools"]}


def _message(fold: Fold, event: Event) -> None:
    if event["id"] in fold.said:  # a resumed run says again what it replays
        return
    fold.said.add(event["id"])
    keys = ("id", "parent", "agent", "role", "reasoning", "tool_call_id", "name", "at", "error", "tokens")
    message = {key: event.get(key) for key in keys}
    message["node"] = event.get("node") or None
    message["content"] = event.get("content") if event.get("content") is not None else ""
    message["images"] = event.get("images") or []
    message["sampled"] = bool(event.get("sampled", False))
    message["tool_calls"] = [
        {**call, "type": "function", "arguments_parsed": parsed(call["function"]["arguments"])}
        for call in event.get("tool_calls") or ()
    ]
    fold.messages.append(message)


def _call(fold: Fold, event: Event) -> None:
    if event["message"] in fold.called:
        return
    fold.called.add(event["message"])
    is_llm = event.get("is_llm")
    if is_llm is None:
        is_llm = fold.agents[event["agent"]]["is_llm"]
    keys = ("message", "model", "served_model", "policy_version", "finish_reason", "latency_s", "attempts",
            "prompt_sha256")  # fmt: skip
    call = {key: event.get(key) for key in keys}
    call |= {
        "is_llm": is_llm,
        "sampling": _present(event.get("sampling")),
        "usage": dict(event.get("usage") or {}),
    }
    if event.get("tokens") is not None:
        fold.tokens[event["message"]] = event["tokens"]
    fold.replayed = fold.replayed or bool(event.get("replayed"))
    fold.calls.append(call)


def _call_failed(fold: Fold, event: Event) -> None:
    fold.failed_calls += 1


def _node(fold: Fold, event: Event) -> None:
    keys = ("id", "parent", "kind", "agent", "seed")
    fold.nodes[event["id"]] = {**{key: event.get(key) for key in keys}, "depth": event.get("depth") or 0}
    fold.begun[event["id"]] = event.get("at")


def _node_finished(fold: Fold, event: Event) -> None:
    node = fold.nodes[event["node"]]
    reward, critic = event.get("reward"), event.get("critic")
    node |= {
        "exit_status": event["status"],
        "terminal": event.get("terminal", True),
        "tips": {agent: tip for agent, tip in (event.get("tips") or {}).items() if tip is not None},
        "patch": event.get("patch"),
        "tree_hash": event.get("tree_hash"),
        "wall_s": _between(fold.begun.get(event["node"]), event.get("at")),
        "visits": event.get("visits"),
        "value": event.get("value"),
        "reward": _reward(reward) if reward is not None else None,
        "critic": dict(critic) if critic is not None else None,
        "verifier": event.get("verifier"),
    }


def _reward(reward: Event) -> dict[str, Any]:
    """Components given as bare numbers count with weight 1."""
    components = {
        name: part if isinstance(part, Mapping) else {"value": part, "weight": 1.0}
        for name, part in reward["components"].items()
    }
    return {"total": reward["total"], "components": components, "spec": _spec(reward.get("spec"))}


def _duplicate(fold: Fold, event: Event) -> None:
    fold.nodes[event["node"]]["duplicate_of"] = event["of"]


def _audit(fold: Fold, event: Event) -> None:
    if event.get("node"):
        flags = [
            f"{flag['kind']}: {flag['evidence']}" if isinstance(flag, Mapping) else str(flag)
            for flag in event.get("flags") or ()
        ]
        fold.nodes[event["node"]].setdefault("flags", []).extend(flags)


def _reproduction(fold: Fold, event: Event) -> None:
    targets, files = list(event.get("targets") or ()), dict(event.get("files") or {})
    fold.reproduced |= {"fail_to_pass": targets or None, "test_files": files}


def _reproduction_added(fold: Fold, event: Event) -> None:
    later = fold.reproduced.setdefault("later_tests", {})
    later |= dict(event.get("files") or {})


_GOOD = ("passed", "xfailed")


def _baseline(fold: Fold, event: Event) -> None:
    flaky = set(event.get("flaky") or ())
    fold.whole = bool(event.get("whole", True))
    fold.kept = {
        test for test, out in (event.get("tests") or {}).items() if out in _GOOD and test not in flaky
    }


def _evaluation(fold: Fold, event: Event) -> None:
    keys = ("kind", "f2p", "p2p", "before", "after", "wall_s")
    found: dict[str, Any] = {
        **{key: event.get(key) for key in keys},
        "node": event.get("node") or None,
        "tests": dict(event.get("tests") or {}),
        "valid": bool(event.get("valid", True)),
    }
    if found["p2p"] is None and isinstance(found["after"], Mapping) and "broken" in found["after"]:
        broken = set(found["after"]["broken"])
        # Where the base was not run whole, it was asked about what fails: what passes was not broken.
        good = {test for test, out in found["tests"].items() if out in _GOOD}
        run = ((fold.kept & set(found["tests"])) if fold.whole else good) | broken
        found["p2p"] = [len(run - broken), len(run)] if run else None
    fold.evaluations.append(found)


def _patch(fold: Fold, event: Event) -> None:
    keys = ("id", "text", "sha256", "normalised_hash")
    patch = {key: event.get(key) for key in keys}
    patch["node"] = event.get("node") or None
    patch["files"] = list(event.get("files") or ())
    patch["removed_by_hygiene"] = [str(name) for name in event.get("removed_by_hygiene") or ()]
    fold.patches[event["id"]] = patch


def _hygiene(fold: Fold, event: Event) -> None:
    fold.removed[event["patch"]] = [str(name) for name in event.get("removed") or ()]


def _selected(fold: Fold, event: Event) -> None:
    keys = ("node", "patch", "confidence")
    fold.selected = {key: event.get(key) for key in keys}
    fold.selected["reasons"] = [str(reason) for reason in event.get("reasons") or ()]


def _outcome(fold: Fold, event: Event) -> None:
    keys = ("exit_code", "status", "verified")
    tests = {key: sorted(value) for key, value in (event.get("tests") or {}).items()}
    fold.outcome = {**{key: event.get(key) for key in keys}, "tests": tests}


def _run_finished(fold: Fold, event: Event) -> None:
    fold.finished_at = event.get("at")


HANDLERS: dict[str, Callable[[Fold, Event], None]] = {
    "run_started": _run_started,
    "agent": _agent,
    "toolset": _toolset,
    "message": _message,
    "call": _call,
    "call_failed": _call_failed,
    "node": _node,
    "node_finished": _node_finished,
    "duplicate": _duplicate,
    "audit": _audit,
    "baseline": _baseline,
    "reproduction": _reproduction,
    "reproduction_added": _reproduction_added,
    "evaluation": _evaluation,
    "hygiene": _hygiene,
    "patch": _patch,
    "selected": _selected,
    "outcome": _outcome,
    "run_finished": _run_finished,
}


def _between(start: float | None, end: float | None) -> float | None:
    return round(end - start, 3) if start is not None and end is not None else None


def _present(value: Any) -> dict[str, Any]:
    return {key: item for key, item in (value or {}).items() if item is not None}


def _spec(spec: Any) -> str | None:
    return json.dumps(spec, sort_keys=True) if spec is not None and not isinstance(spec, str) else spec
