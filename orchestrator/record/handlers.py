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
        fold.first_at = event.get("at")


def _agent(fold: Fold, event: Line) -> None:
    fold.agents[event["name"]] = {
        "name": event["name"],
        "role": event["role"],
        "model": event["model"],
        "is_llm": event["is_llm"],
        "sampling": _present(event.get("sampling")),
        "toolset": event.get("toolset"),
    }


def _toolset(fold: Fold, event: Line) -> None:
    fold.toolsets[event["name"]] = {"name": event["name"], "tools": event["tools"]}


def _message(fold: Fold, event: Line) -> None:
    if event["id"] in fold.said:  # a resumed run says again what it replays
        return
    fold.said.add(event["id"])
    content = event.get("content")
    calls = [
        {**call, "type": "function", "arguments_parsed": parsed(call["function"]["arguments"])}
        for call in event.get("tool_calls") or ()
    ]
    fold.messages.append(
        {
            "id": event["id"],
            "parent": event.get("parent"),
            "agent": event.get("agent"),
            "node": event.get("node") or None,
            "role": event.get("role"),
            "content": content if content is not None else "",
            "reasoning": event.get("reasoning"),
            "tool_calls": calls,
            "tool_call_id": event.get("tool_call_id"),
            "name": event.get("name"),
            "sampled": bool(event.get("sampled", False)),
            "at": event.get("at"),
            "error": event.get("error"),
            "images": event.get("images") or [],
            "tokens": event.get("tokens"),
        }
    )


def _call(fold: Fold, event: Line) -> None:
    if event["message"] in fold.called:
        return
    fold.called.add(event["message"])
    is_llm = event.get("is_llm")
    if is_llm is None:
        is_llm = fold.agents[event["agent"]]["is_llm"]
    if event.get("tokens") is not None:
        fold.tokens[event["message"]] = event["tokens"]
    fold.replayed = fold.replayed or bool(event.get("replayed"))
    fold.calls.append(
        {
            "message": event["message"],
            "model": event.get("model"),
            "served_model": event.get("served_model"),
            "policy_version": event.get("policy_version"),
            "is_llm": is_llm,
            "sampling": _present(event.get("sampling")),
            "finish_reason": event.get("finish_reason"),
            "usage": dict(event.get("usage") or {}),
            "latency_s": event.get("latency_s"),
            "attempts": event.get("attempts"),
            "prompt_sha256": event.get("prompt_sha256"),
        }
    )


def _call_failed(fold: Fold, event: Line) -> None:
    fold.failed_calls += 1


def _node(fold: Fold, event: Line) -> None:
    fold.nodes[event["id"]] = {
        "id": event["id"],
        "parent": event.get("parent"),
        "kind": event.get("kind"),
        "agent": event.get("agent"),
        "seed": event.get("seed"),
        "depth": event.get("depth") or 0,
    }
    fold.begun[event["id"]] = event.get("at")


def _node_finished(fold: Fold, event: Line) -> None:
    node = fold.nodes[event["node"]]
    reward, critic = event.get("reward"), event.get("critic")
    node |= {
        "exit_status": event["status"],
        "terminal": event.get("terminal", True),
        "tips": {agent: tip for agent, tip in (event.get("tips") or {}).items() if tip is not None},
        "patch": event.get("patch"),
        "tree_hash": event.get("tree_hash"),
        "wall_s": between(fold.begun.get(event["node"]), event.get("at")),
        "visits": event.get("visits"),
        "value": event.get("value"),
        "reward": _reward(reward) if reward is not None else None,
        "critic": dict(critic) if critic is not None else None,
        "verifier": event.get("verifier"),
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
    if event.get("node"):
        flags = [
            f"{flag['kind']}: {flag['evidence']}" if isinstance(flag, Mapping) else str(flag)
            for flag in event.get("flags") or ()
        ]
        fold.nodes[event["node"]].setdefault("flags", []).extend(flags)


def _reproduction(fold: Fold, event: Line) -> None:
    targets, files = list(event.get("targets") or ()), dict(event.get("files") or {})
    fold.reproduced |= {"fail_to_pass": targets or None, "test_files": files}


def _reproduction_added(fold: Fold, event: Line) -> None:
    later = fold.reproduced.setdefault("later_tests", {})
    later |= dict(event.get("files") or {})


_GOOD = ("passed", "xfailed")


def _baseline(fold: Fold, event: Line) -> None:
    flaky = set(event.get("flaky") or ())
    fold.whole = bool(event.get("whole", True))
    fold.kept = {
        test for test, out in (event.get("tests") or {}).items() if out in _GOOD and test not in flaky
    }


def _evaluation(fold: Fold, event: Line) -> None:
    tests: dict[str, str] = dict(event.get("tests") or {})
    p2p, after = event.get("p2p"), event.get("after")
    if p2p is None and isinstance(after, Mapping) and "broken" in after:
        broken = set(after["broken"])
        # Where the base was not run whole, it was asked about what fails: what passes was not broken.
        good = {test for test, out in tests.items() if out in _GOOD}
        run = ((fold.kept & set(tests)) if fold.whole else good) | broken
        p2p = [len(run - broken), len(run)] if run else None
    fold.evaluations.append(
        {
            "kind": event.get("kind"),
            "f2p": event.get("f2p"),
            "p2p": p2p,
            "before": event.get("before"),
            "after": after,
            "wall_s": event.get("wall_s"),
            "node": event.get("node") or None,
            "tests": tests,
            "valid": bool(event.get("valid", True)),
        }
    )


def _patch(fold: Fold, event: Line) -> None:
    fold.patches[event["id"]] = {
        "id": event["id"],
        "node": event.get("node") or None,
        "text": event.get("text"),
        "sha256": event.get("sha256"),
        "normalised_hash": event.get("normalised_hash"),
        "files": list(event.get("files") or ()),
        "removed_by_hygiene": [str(name) for name in event.get("removed_by_hygiene") or ()],
    }


def _hygiene(fold: Fold, event: Line) -> None:
    fold.removed[event["patch"]] = [str(name) for name in event.get("removed") or ()]


def _selected(fold: Fold, event: Line) -> None:
    fold.selected = {
        "node": event.get("node"),
        "patch": event.get("patch"),
        "confidence": event.get("confidence"),
        "reasons": [str(reason) for reason in event.get("reasons") or ()],
    }


def _outcome(fold: Fold, event: Line) -> None:
    fold.outcome = {
        "exit_code": event.get("exit_code"),
        "status": event.get("status"),
        "verified": event.get("verified"),
        "tests": {key: sorted(value) for key, value in (event.get("tests") or {}).items()},
    }


def _run_finished(fold: Fold, event: Line) -> None:
    fold.finished_at = event.get("at")


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
