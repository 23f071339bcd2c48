"""Screen: what people see of a run, on stderr; stdout stays for data."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from ...tools.excerpt import clip_line, printable
from ..record.event import Line, read
from ..record.events import (
    BaselineMeasured,
    CallFailed,
    CallRetried,
    Compaction,
    Inference,
    Nudge,
    Reproduced,
    ToolUsed,
)
from ..record.told import CandidateSeen, Notice
from ..record.totals import Spent
from ..request import SolveResult
from .output import print_json

_PATCH_LINES, _LINE_CHARS = 1000, 2000
"""Of a patch that are shown; the whole of it is in the run's directory."""


class Screen:
    """Listens to a run's events, a line each. Colours only on a terminal without NO_COLOR; with `stream` every
    event is a JSON line on stdout as well."""

    def __init__(self, *, quiet: bool = False, stream: bool = False, from_step: int = 0) -> None:
        self._quiet = quiet
        self._stream = stream
        self._skip = from_step
        self._candidate = ""
        self._terminal = is_live() and not os.environ.get("NO_COLOR")

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def line(self, text: str, style: str = "") -> None:
        """One line for people. What an issue, a model or a test put into it cannot steer the terminal."""
        if self._quiet:
            return
        text = printable(text)
        if self._terminal and style:
            codes = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
            text = f"\x1b[{codes[style]}m{text}\x1b[0m"
        print(text, file=sys.stderr, flush=True)

    def __call__(self, type: str, fields: Line) -> None:
        """A Listener of the recorder."""
        if self._stream and type != "progress":
            self._print_event(type, fields)
        show = getattr(self, f"_on_{type}", None)
        if show is not None:
            show(read({"type": type, **fields}) or fields)

    def _print_event(self, type: str, fields: Line) -> None:
        print_json({"type": type, **fields})

    def _on_progress(self, told: Notice) -> None:
        self.line(f"· {told['line']}", "dim")

    def _on_warning(self, told: Notice) -> None:
        self.line(f"  warning: {told['line']}", "yellow")

    def _on_inference(self, event: Inference) -> None:
        flag = f" [{event.flag}]" if event.flag else ""
        self.line(f"  {event.what}: {event.value}  ({event.why}){flag}")

    def _on_baseline(self, event: BaselineMeasured) -> None:
        tests = event.tests
        bad = [
            test
            for test, outcome in tests.items()
            if outcome in ("failed", "error") and test not in event.flaky
        ]
        took = f" in {event.duration_s:.1f} s" if event.duration_s is not None else ""
        flaky = f", {len(event.flaky)} flaky" if event.flaky else ""
        self.line(f"  baseline: {len(tests)} tests, {len(bad)} failing{flaky}{took}, {event.runs} runs")
        if event.problem:
            self.line(f"    the tests could not be run: {event.problem}", "red")
        if event.lacking:
            modules = ", ".join(event.lacking[:10])
            self.line(
                f"    tests cannot import {modules}: if it is not installed, say how with --setup", "yellow"
            )
        for test in bad[:10]:
            self.line(f"    FAILED {test}", "red")
        if len(bad) > 10:
            self.line(f"    ... and {len(bad) - 10} more", "red")

    def _on_reproduction(self, event: Reproduced) -> None:
        new = f", {len(event.generated)} of them new" if event.generated else ""
        self.line(f"  {'tester':<9} {len(event.targets)} tests show the issue{new}")

    def _on_tool(self, event: ToolUsed) -> None:
        self._skip -= 1
        if self._skip >= 0:
            return
        node = f" {event.node}" if event.node else ""
        what = " ".join(str(event.arguments.get(key, "")) for key in ("path", "query", "command", "tests"))
        mark = "" if event.ok else "  (refused)"
        self.line(
            f"  {role_of(event.agent):<9}{node} {event.name} {' '.join(what.split())[:100]}{mark}", "dim"
        )

    def _on_call_failed(self, event: CallFailed) -> None:
        self.line(f"  model call failed ({event.kind}): {event.error[:160]}", "yellow")

    def _on_call_retried(self, event: CallRetried) -> None:
        self.line(f"  model call retried in {event.wait_s:.1f} s: {event.error[:160]}", "yellow")

    def _on_nudge(self, event: Nudge) -> None:
        self.line(f"  {role_of(event.agent):<9} was told: {event.reason}", "yellow")

    def _on_compaction(self, event: Compaction) -> None:
        self.line(
            f"  {role_of(event.agent):<9} conversation shortened: {event.dropped} messages left out", "yellow"
        )

    def _on_candidate(self, told: CandidateSeen) -> None:
        text = f"  candidate {told['node']}: {told['summary']}"
        if text != self._candidate:  # a review that changes nothing says the same again
            self.line(text, "green" if told["green"] else "yellow")
        self._candidate = text

    def _patch(self, result: SolveResult) -> None:
        self.line("")
        lines = result.patch.split("\n", _PATCH_LINES)
        for text in lines[:_PATCH_LINES]:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(text[:1], "")
            self.line(
                clip_line(text, _LINE_CHARS), "bold" if text.startswith(("diff ", "+++", "---")) else style
            )
        if len(lines) > _PATCH_LINES:
            where = f": {result.run}/patch.diff" if result.run is not None else ""
            self.line(f"[... {lines[-1].count(chr(10)):,} more lines of the patch{where}]", "yellow")
        self.line("")

    def finished(self, result: SolveResult, delivered: Mapping[str, Any]) -> None:
        """The end of a run: the diff, the tests, the cost, where the patch went, what to do next."""
        if result.patch:
            self._patch(result)
        for name, tests, style in (
            ("fixed", result.fixed, "green"),
            ("broken", result.broken, "red"),
            ("contradicted", result.contradicted, "yellow"),
            ("still failing", result.still_failing, "yellow"),
            ("flaky", result.flaky, "yellow"),
        ):
            if tests:
                self.line(
                    f"{name + ':':<15}{len(tests)}  {', '.join(tests[:3])}{' ...' if len(tests) > 3 else ''}",
                    style,
                )
        for name, lines in (
            ("test changed:", result.changed_tests),
            ("mark:", result.marks),
            ("special case:", result.special_cases),
            ("removed:", result.removed),
            ("leak audit:", result.leaks),
        ):
            for text in lines[:5]:
                self.line(f"{name:<15}{text}", "yellow")
        if result.confidence is not None:
            self.line(f"{'confidence:':<15}{result.confidence:.2f}  {'; '.join(result.reasons)}")
        totals = result.totals
        if totals:
            self.line(f"{'spent:':<15}{spent_line(totals)}")
        self.line(f"{'result:':<15}{result.status}", "green" if result.exit_code == 0 else "yellow")
        if result.run is not None:
            self.line(f"{'run:':<15}{result.run}")
            for name, key in (
                ("applied to:", "applied_to"),
                ("commit:", "commit"),
                ("pull request:", "pull_request"),
            ):
                if key in delivered:
                    self.line(f"{name:<15}{delivered[key]}")
            if "applied_to" in delivered:
                self.line(f"{'undo:':<15}{command_name()} apply {quote(str(result.run))} --undo")
            elif result.patch and "commit" not in delivered and "pull_request" not in delivered:
                self.line(f"{'next:':<15}{command_name()} apply {quote(str(result.run))}")


def is_live() -> bool:
    """Whether stderr is a terminal that can be drawn on."""
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def command_name() -> str:
    """`swe-agent` as this process was called, so that a line can be pasted."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{quote(sys.executable)} -m swe_agent"
    on_path = shutil.which(called.name)
    same = on_path is not None and Path(on_path).resolve() == called.resolve()
    return called.name if same else quote(str(called))


def role_of(agent: str) -> str:
    """`coder` of an agent called `coder:openai/gpt-5`."""
    return agent.partition(":")[0]


def spent_line(totals: Spent) -> str:
    """Calls, tokens and dollars, in all and by role; what is unknown says so."""
    counts = (totals.get("prompt_tokens"), totals.get("completion_tokens"))
    tokens = [count for count in counts if count is not None]
    known = f"{sum(tokens)} tokens" if len(tokens) == len(counts) else "tokens not reported"
    roles = ", ".join(
        f"{role} {dollars(part['cost_usd'])}"
        for role, part in (totals.get("by_role") or {}).items()
        if part["cost_usd"] != 0
    )
    return f"{totals.get('calls', 0)} model calls, {known}, {dollars(totals.get('cost_usd'))}{f' ({roles})' if roles else ''}"


def dollars(cost: float | None) -> str:
    return "price unknown" if cost is None else f"${cost:.4f}"
