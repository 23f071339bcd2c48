"""Handlers: what each event adds to the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .draft import RewardDraft
from .event import Line
from .fold import Fold, between
from .tool_arguments import parsed


def _run_started(fold: Fold, event: Line) -> None:
    if fold.started is None:  # a resumed run says run_started again
        fold.started = dict(event)
        fold.first_at = _said(event, "at")


def _agent(fold: Fold, event: Line) -> None:
    fold.agents[event["name"]] = {
        "name": event["name"],
        "role": event["role"],
        "model": event["model"],
        "is_llm": event["is_llm"],
        "sampling": _present(_said(event, "sampling")),
        "toolset": _said(event, "toolset"),
    }


def _toolset(fold: Fold, event: Line) -> None:
    fold.toolsets[event["name"]] = {"name": event["name"], "tools": event["tools"]}


def _message(fold: Fold, event: Line) -> None:
    if event["id"] in fold.said:  # a resumed run says again what it replays
        return
    fold.said.add(event["id"])
    content = _said(event, "content")
    calls = [
        {**call, "type": "function", "arguments_parsed": parsed(call["function"]["arguments"])}
        for call in _said(event, "tool_calls") or ()
    ]
    fold.messages.append(
        {
            "id": event["id"],
            "parent": _said(event, "parent"),
            "agent": _said(event, "agent"),
            "node": _said(event, "node") or None,
            "role": _said(event, "role"),
            "content": content if content is not None else "",
            "reasoning": _said(event, "reasoning"),
            "tool_calls": calls,
            "tool_call_id": _said(event, "tool_call_id"),
            "name": _said(event, "name"),
            "sampled": bool(_said(event, "sampled", False)),
            "at": _said(event, "at"),
            "error": _said(event, "error"),
            "images": _said(event, "images") or [],
            "tokens": _said(event, "tokens"),
        }
    )


def _call(fold: Fold, event: Line) -> None:
    if event["message"] in fold.called:
        return
    fold.called.add(event["message"])
    is_llm = _said(event, "is_llm")
    if is_llm is None:
        is_llm = fold.agents[event["agent"]]["is_llm"]
    if _said(event, "tokens") is not None:
        fold.tokens[event["message"]] = event["tokens"]
    fold.replayed = fold.replayed or bool(_said(event, "replayed"))
    fold.calls.append(
        {
            "message": event["message"],
            "model": _said(event, "model"),
            "served_model": _said(event, "served_model"),
            "policy_version": _said(event, "policy_version"),
            "is_llm": is_llm,
            "sampling": _present(_said(event, "sampling")),
            "finish_reason": _said(event, "finish_reason"),
            "usage": dict(_said(event, "usage") or {}),
            "latency_s": _said(event, "latency_s"),
            "attempts": _said(event, "attempts"),
            "prompt_sha256": _said(event, "prompt_sha256"),
        }
    )


def _call_failed(fold: Fold, event: Line) -> None:
    fold.failed_calls += 1


def _node(fold: Fold, event: Line) -> None:
    fold.nodes[event["id"]] = {
        "id": event["id"],
        "parent": _said(event, "parent"),
        "kind": _said(event, "kind"),
        "agent": _said(event, "agent"),
        "seed": _said(event, "seed"),
        "depth": _said(event, "depth") or 0,
    }
    fold.begun[event["id"]] = _said(event, "at")


def _node_finished(fold: Fold, event: Line) -> None:
    node = fold.nodes[event["node"]]
    reward, critic = _said(event, "reward"), _said(event, "critic")
    node |= {
        "exit_status": event["status"],
        "terminal": _said(event, "terminal", True),
        "tips": {agent: tip for agent, tip in (_said(event, "tips") or {}).items() if tip is not None},
        "patch": _said(event, "patch"),
        "tree_hash": _said(event, "tree_hash"),
        "wall_s": between(fold.begun.get(event["node"]), _said(event, "at")),
        "visits": _said(event, "visits"),
        "value": _said(event, "value"),
        "reward": _reward(reward) if reward is not None else None,
        "critic": dict(critic) if critic is not None else None,
        "verifier": _said(event, "verifier"),
    }


def _reward(reward: Line) -> RewardDraft:
    """Components given as bare numbers count with weight 1."""
    components = {
        name: part if isinstance(part, Mapping) else {"value": part, "weight": 1.0}
        for name, part in reward["components"].items()
    }
    return {"total": reward["total"], "components": components, "spec": _spec(reward.get("spec"))}


def _duplicate(fold: Fold, event: Line) -> None:
    fold.nodes[event["node"]]["duplicate_of"] = event["of"]


def _audit(fold: Fold, event: Line) -> None:
    if _said(event, "node"):
        flags = [
            f"{flag['kind']}: {flag['evidence']}" if isinstance(flag, Mapping) else str(flag)
            for flag in _said(event, "flags") or ()
        ]
        fold.nodes[event["node"]].setdefault("flags", []).extend(flags)


def _reproduction(fold: Fold, event: Line) -> None:
    targets: list[str] = list(_said(event, "targets") or ())
    files = dict(_said(event, "files") or {})
    fold.reproduced["fail_to_pass"] = targets or None
    fold.reproduced["test_files"] = files


def _reproduction_added(fold: Fold, event: Line) -> None:
    later = fold.reproduced.setdefault("later_tests", {})
    later |= dict(_said(event, "files") or {})


_GOOD = ("passed", "xfailed")


def _baseline(fold: Fold, event: Line) -> None:
    flaky = set(_said(event, "flaky") or ())
    fold.whole = bool(_said(event, "whole", True))
    fold.kept = {
        test for test, out in (_said(event, "tests") or {}).items() if out in _GOOD and test not in flaky
    }


def _evaluation(fold: Fold, event: Line) -> None:
    tests: dict[str, str] = dict(_said(event, "tests") or {})
    p2p, after = _said(event, "p2p"), _said(event, "after")
    if p2p is None and isinstance(after, Mapping) and "broken" in after:
        broken = set(after["broken"])
        # Where the base was not run whole, it was asked about what fails: what passes was not broken.
        good = {test for test, out in tests.items() if out in _GOOD}
        run = ((fold.kept & set(tests)) if fold.whole else good) | broken
        p2p = [len(run - broken), len(run)] if run else None
    fold.evaluations.append(
        {
            "kind": _said(event, "kind"),
            "f2p": _said(event, "f2p"),
            "p2p": p2p,
            "before": _said(event, "before"),
            "after": after,
            "wall_s": _said(event, "wall_s"),
            "node": _said(event, "node") or None,
            "tests": tests,
            "valid": bool(_said(event, "valid", True)),
        }
    )


def _patch(fold: Fold, event: Line) -> None:
    fold.patches[event["id"]] = {
        "id": event["id"],
        "node": _said(event, "node") or None,
        "text": _said(event, "text"),
        "sha256": _said(event, "sha256"),
        "normalised_hash": _said(event, "normalised_hash"),
        "files": list(_said(event, "files") or ()),
        "removed_by_hygiene": [str(name) for name in _said(event, "removed_by_hygiene") or ()],
    }


def _hygiene(fold: Fold, event: Line) -> None:
    fold.removed[event["patch"]] = [str(name) for name in _said(event, "removed") or ()]


def _selected(fold: Fold, event: Line) -> None:
    fold.selected = {
        "node": _said(event, "node"),
        "patch": _said(event, "patch"),
        "confidence": _said(event, "confidence"),
        "reasons": [str(reason) for reason in _said(event, "reasons") or ()],
    }


def _outcome(fold: Fold, event: Line) -> None:
    fold.outcome = {
        "exit_code": _said(event, "exit_code"),
        "status": _said(event, "status"),
        "verified": _said(event, "verified"),
        "tests": {key: sorted(value) for key, value in (_said(event, "tests") or {}).items()},
    }


def _run_finished(fold: Fold, event: Line) -> None:
    fold.finished_at = _said(event, "at")


HANDLERS: dict[str, Callable[[Fold, Line], None]] = {
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


def _present(value: Any) -> dict[str, object]:
    return {key: item for key, item in (value or {}).items() if item is not None}


def _spec(spec: Any) -> str | None:
    return json.dumps(spec, sort_keys=True) if spec is not None and not isinstance(spec, str) else spec


def _said(event: Line, name: str, default: Any = None) -> Any:
    """What an event says: of any type, for the log is old or foreign; the schema judges the whole record."""
    return event.get(name, default)
