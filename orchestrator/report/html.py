"""write_report: one offline HTML page about a run, from its event log. Everything is escaped; nothing is loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..record.log import read_events
from ..solving.run_directory import RunDirectory
from .tree_picture import Placed, place

FOLD = 1200
"""Characters of an observation that are shown unfolded."""


@dataclass(slots=True)
class View:
    """What the page shows."""

    run: str
    summary: Mapping[str, Any]
    issue: Mapping[str, Any]
    config: Mapping[str, Any]
    inferences: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Messages in order, each with its node, agent, role, content, calls, usage, start time."""
    patches: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    nodes: list[Placed] = field(default_factory=list[Placed])
    lanes: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """Agent → bars {left, width (percent of the run), title, step}."""
    matrix: list[tuple[str, list[str]]] = field(default_factory=list[tuple[str, list[str]]])
    """Test → outcome per column; only tests whose outcome differs between columns."""
    columns: list[str] = field(default_factory=list[str])
    decisions: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])


def write_report(run: RunDirectory, target: Path) -> None:
    """Write the page. Raises: RecordError when the log is damaged; OSError when it cannot be written."""
    target.write_bytes(report_page(run))


def report_page(run: RunDirectory) -> bytes:
    """The page of a run. Raises: RecordError when the log is damaged."""
    view = collect(run.path.name, run.read(), read_events(run.events))
    return render_page(view).encode("utf-8", "backslashreplace")


def render_page(view: View) -> str:
    """The page as text."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    folder = resources.files(__package__ or __name__)
    environment = Environment(
        loader=DictLoader({"page.html": (folder / "page.html").read_text(encoding="utf-8")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["difflines"] = diff_lines
    return environment.get_template("page.html").render(
        view=view,
        fold=FOLD,
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
    )


def diff_lines(text: str) -> list[tuple[str, str]]:
    """(class, line) for each line of a unified diff."""
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    return [
        ("head" if line.startswith(("diff ", "+++", "---", "index ")) else kinds.get(line[:1], ""), line)
        for line in text.splitlines()
    ]


def collect(name: str, summary: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> View:
    """What a page about these events shows. Unknown event types are passed over."""
    view = View(name, summary, {}, {})
    calls: dict[str, Mapping[str, Any]] = {}
    outcomes: dict[str, Mapping[str, str]] = {}
    nodes: dict[str, dict[str, Any]] = {}
    rewards: dict[str, Any] = {}
    selected = None
    for event in events:
        type = event["type"]
        if type == "run_started":
            view.issue, view.config = event["issue"], event["config"]
        elif type == "inference":
            view.inferences.append(event)
        elif type == "baseline":
            outcomes["base"] = event["tests"]
        elif type == "call":
            calls[event["message"]] = event
        elif type == "message":
            view.steps.append(_step(event, len(view.steps)))
        elif type == "node":
            nodes[event["id"]] = {
                "id": event["id"],
                "parent": event["parent"],
                "agent": event.get("agent") or "",
            }
        elif type == "node_finished":
            rewards[event["node"]] = event
        elif type == "patch":
            view.patches.append({"node": event["node"], "text": event["text"]})
        elif type == "assessment":
            outcomes.setdefault(f"candidate {len(outcomes)}", event["evaluation"]["outcomes"])
        elif type == "rollout" and event["result"].get("evaluation"):
            outcomes[event["node"]] = event["result"]["evaluation"]["outcomes"]
        elif type == "evaluation" and event["node"] == "":
            outcomes["final"] = event["tests"]
        elif type == "selected":
            selected = event.get("node")
        elif type == "decision":
            view.decisions.append(event)
    for step in view.steps:
        step["call"] = calls.get(step["id"])
    for node in nodes.values():
        finished = rewards.get(node["id"]) or {}
        reward = finished.get("reward") or {}
        node |= {
            "status": finished.get("status") or "",
            "reward": reward.get("total"),
            "selected": node["id"] == selected,
            "step": next((step["number"] for step in view.steps if step["node"] == node["id"]), None),
        }
    view.nodes = place(list(nodes.values()))
    view.lanes = _lanes(view.steps)
    view.columns = list(outcomes)
    view.matrix = _matrix(outcomes)
    return view


def _step(event: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "number": number,
        "id": event["id"],
        "at": event["at"],
        "node": event.get("node") or "",
        "agent": str(event.get("agent") or "").partition(":")[0],
        "role": event["role"],
        "name": event.get("name") or "",
        "content": event.get("content") or "",
        "reasoning": event.get("reasoning") or "",
        "calls": event.get("tool_calls") or [],
        "error": event.get("error"),
    }


def _lanes(steps: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    lanes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    sampled = [step for step in steps if step["role"] == "assistant"]
    if not sampled:
        return {}
    first, last = steps[0]["at"], max(step["at"] for step in steps)
    span = max(last - first, 1e-6)
    for step in sampled:
        latency = step["call"]["latency_s"] if step.get("call") else 0.0
        width = max(0.4, min(100.0, 100.0 * latency / span))
        left = max(0.0, min(100.0 - width, 100.0 * (step["at"] - first - latency) / span))
        names = ", ".join(call["function"]["name"] for call in step["calls"]) or "text"
        lanes[step["agent"]].append(
            {
                "left": round(left, 3),
                "width": round(width, 3),
                "title": f"{step['id']}: {names}",
                "step": step["number"],
            }
        )
    return dict(lanes)


def _matrix(outcomes: Mapping[str, Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    rows: list[tuple[str, list[str]]] = []
    for test in sorted({test for tests in outcomes.values() for test in tests}):
        cells = [tests.get(test, "") for tests in outcomes.values()]
        if len({cell for cell in cells if cell}) > 1 or "failed" in cells:
            rows.append((test, cells))
    return rows[:2000]
