"""run_page: a page about one run, from its event log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...tools.files import write_atomically
from ..record.decisions import (
    Assessed,
    Decision,
    Evaluated,
    NodeFinished,
    NodeOpened,
    Patched,
    RolledOut,
    Selected,
    Vote,
)
from ..record.event import Line, read
from ..record.events import BaselineMeasured, Called, Cleaned, Inference, Resumed, RunStarted, Said, ToolUsed
from ..record.log import read_events
from ..record.totals import CallTotals
from ..report.run_list import RunLine, describe
from ..request import SolveResult
from ..solving.run_directory import RunDirectory
from .steps import RunStep, step_of
from .template import render
from .timeline import Kind, Span, Timeline, timeline
from .tree_picture import Placed, TreeNode, place


@dataclass(slots=True)
class CandidateRow:
    """A patch that a node came to. None: not measured."""

    node: str
    state: str = "in work"
    patch: str = ""
    reproduced: tuple[int, int] | None = None
    """Reproduction tests that pass, of how many."""
    broken: int | None = None
    reward: float | None = None
    votes: int = 0
    selected: bool = False


@dataclass(slots=True)
class RunView:
    """What the page shows of a run."""

    line: RunLine
    result: SolveResult | None
    issue: Mapping[str, str | None]
    config: Mapping[str, object]
    totals: CallTotals = field(default_factory=CallTotals)
    begun: float | None = None
    latest: float | None = None
    """Unix seconds of the first and the latest event."""
    inferences: list[Inference] = field(default_factory=list[Inference])
    steps: list[RunStep] = field(default_factory=list[RunStep])
    candidates: dict[str, CandidateRow] = field(default_factory=dict[str, CandidateRow])
    nodes: dict[str, TreeNode] = field(default_factory=dict[str, TreeNode])
    outcomes: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """Column of the test matrix → test → outcome."""
    decisions: list[Decision] = field(default_factory=list[Decision])
    spans: list[Span] = field(default_factory=list[Span])
    pauses: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    @property
    def running(self) -> bool:
        return self.line.outcome == "running"

    @property
    def title(self) -> str:
        return str(self.issue.get("title") or self.line.name)

    @property
    def doing(self) -> str:
        """What is being done, of a run that is on its way."""
        if not self.steps:
            return "setting up"
        last = self.steps[-1]
        who = f"{last.agent} {last.node}".strip()
        if last.calls:
            return f"{who}: {', '.join(call.name for call in last.calls)}"
        return f"{who}: {'the model is asked' if last.role != 'assistant' else 'its answer is taken in'}"

    @property
    def seconds(self) -> float | None:
        if self.line.seconds is not None:
            return self.line.seconds
        if self.begun is None or self.latest is None:
            return None
        return self.latest - self.begun - sum(end - start for start, end in self.pauses)

    def timeline(self) -> Timeline:
        return timeline(self.spans, self.pauses)

    def tree(self) -> list[Placed]:
        return place(list(self.nodes.values()))

    def matrix(self) -> list[tuple[str, list[str]]]:
        """Tests whose outcome differs between columns or that fail, at most 2000."""
        rows: list[tuple[str, list[str]]] = []
        for test in sorted({test for tests in self.outcomes.values() for test in tests}):
            cells = [tests.get(test, "") for tests in self.outcomes.values()]
            if len({cell for cell in cells if cell}) > 1 or "failed" in cells or "error" in cells:
                rows.append((test, cells))
        return rows[:2000]


def run_page(run: RunDirectory, *, live_s: float | None = None, home: str | None = None) -> bytes:
    """The page of a run; `home` is where the index is. Raises: RecordError when the log is damaged."""
    view = collect(run)
    return render("run", view=view, home=home, live_s=live_s if view.running else None)


def write_run_page(run: RunDirectory, target: Path) -> None:
    """Raises: RecordError when the log is damaged; OSError when the page cannot be written."""
    write_atomically(target, run_page(run))


def collect(run: RunDirectory) -> RunView:
    """What there is to show of a run, however far it is. Unknown events are passed over."""
    summary = run.read()
    result = SolveResult.from_json(summary["result"]) if summary.get("result") else None
    view = RunView(describe(run), result, (summary.get("request") or {}).get("issue") or {}, {})
    gather(view, read_events(run.events))
    for candidate in view.candidates.values():
        if not candidate.patch and re.fullmatch(r"[\w-]+(\.[\w-]+)*", candidate.node):
            path = run.path / "candidates" / f"{candidate.node}.diff"
            candidate.patch = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
    return view


def gather(view: RunView, lines: Iterable[Line]) -> None:
    """Take in the events of a run."""
    reader = _Reader(view)
    for line in lines:
        event = read(line)
        at = float(line.get("at") or 0.0)
        view.begun = at if view.begun is None else view.begun
        if isinstance(event, Resumed) and view.latest is not None:
            view.pauses.append((view.latest, at))
        view.latest = at
        take = getattr(reader, f"on_{line['type']}", None)
        if event is not None and take is not None:
            take(event, at)


class _Reader:
    """Folds events, one method a type, into a view."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._steps: dict[str, RunStep] = {}
        self._calls: dict[str, tuple[Called, float]] = {}
        self._patches: dict[str, str] = {}

    def on_run_started(self, event: RunStarted, at: float) -> None:
        self._view.issue, self._view.config = event.issue, event.config

    def on_inference(self, event: Inference, at: float) -> None:
        view = self._view
        view.inferences.append(event)
        if "base" in view.outcomes:
            return
        spans = [span for span in view.spans if span.kind != "set-up"]
        view.spans = [*spans, Span("set-up", "set-up", view.begun or at, at, "environment and sandbox")]

    def on_baseline(self, event: BaselineMeasured, at: float) -> None:
        self._view.outcomes["base"] = event.tests
        self._span("baseline", "tests", at, event.duration_s, f"baseline: {len(event.tests)} tests")

    def on_call(self, event: Called, at: float) -> None:
        self._calls[event.message] = event, at
        self._view.totals.add(event.agent.partition(":")[0], event.usage, is_llm=event.is_llm)

    def on_message(self, event: Said, at: float) -> None:
        if event.id in self._steps:
            return
        step = step_of(event, len(self._view.steps))
        self._steps[event.id] = step
        self._view.steps.append(step)
        call, when = self._calls.get(event.id, (None, at))
        step.call = call
        if call is not None:
            names = ", ".join(item.name for item in step.calls) or "text"
            self._span(step.agent, "model", when, call.latency_s, f"model: {names}", step.number)

    def on_tool(self, event: ToolUsed, at: float) -> None:
        step = self._steps.get(event.message)
        if step is not None and step.duration_s is None:
            step.duration_s = event.duration_s
            kind: Kind = "tests" if "test" in event.name.lower() else "tool"
            self._span(step.agent, kind, at, event.duration_s, event.name, step.number)

    def on_node(self, event: NodeOpened, at: float) -> None:
        step = next((step.number for step in self._view.steps if step.node == event.id), None)
        self._view.nodes[event.id] = TreeNode(event.id, event.parent, event.agent or "", step=step)

    def on_hygiene(self, event: Cleaned, at: float) -> None:
        if event.node:
            self._candidate(event.node)

    def on_rollout(self, event: RolledOut, at: float) -> None:
        measured = event.result.get("evaluation") or {}
        candidate = self._candidate(event.node)
        candidate.patch = event.result.get("patch") or candidate.patch
        candidate.state = str(event.result.get("status") or candidate.state)
        if measured:
            passed = list((measured.get("reproduction") or {}).values())
            candidate.reproduced = (sum(map(bool, passed)), len(passed)) if passed else None
            candidate.broken = len(measured.get("broken") or ())
            self._view.outcomes[event.node] = measured.get("outcomes") or {}

    def on_patch(self, event: Patched, at: float) -> None:
        self._patches[event.id] = event.node
        self._candidate(event.node).patch = event.text

    def on_vote(self, event: Vote, at: float) -> None:
        node = self._patches.get(event.patch)
        if node is not None:
            self._candidate(node).votes += 1

    def on_node_finished(self, event: NodeFinished, at: float) -> None:
        total = (event.reward or {}).get("total")
        node = self._view.nodes.get(event.node)
        if node is not None:
            node.status, node.reward = event.status, total
            if node.step is None:
                steps = (step.number for step in self._view.steps if step.node == event.node)
                node.step = next(steps, None)
        if event.node in self._view.candidates:
            self._view.candidates[event.node].state = event.status
            self._view.candidates[event.node].reward = total

    def on_assessment(self, event: Assessed, at: float) -> None:
        name = f"candidate {len(self._view.outcomes)}"
        self._view.outcomes[name] = event.evaluation.get("outcomes") or {}

    def on_evaluation(self, event: Evaluated, at: float) -> None:
        if event.node == "":
            self._view.outcomes["final"] = event.tests
            self._span("final check", "tests", at, event.wall_s, f"final check: {len(event.tests)} tests")

    def on_selected(self, event: Selected, at: float) -> None:
        for name, candidate in self._view.candidates.items():
            candidate.selected = name == event.node
        for name, node in self._view.nodes.items():
            node.selected = name == event.node

    def on_decision(self, event: Decision, at: float) -> None:
        self._view.decisions.append(event)

    def _candidate(self, node: str) -> CandidateRow:
        return self._view.candidates.setdefault(node, CandidateRow(node))

    def _span(
        self, lane: str, kind: Kind, end: float, seconds: float | None, what: str, step: int | None = None
    ) -> None:
        if seconds is not None:
            self._view.spans.append(Span(lane, kind, end - seconds, end, f"{what}, {seconds:.1f} s", step))
