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

    def __call__(self, type: str, fields: Mapping[str, Any]) -> None:
        """A Listener of the recorder."""
        if self._stream and type != "progress":
            self._print_event(type, fields)
        show = getattr(self, f"_on_{type}", None)
        if show is not None:
            show(fields)

    def _print_event(self, type: str, fields: Mapping[str, Any]) -> None:
        print_json({"type": type, **fields})

    def _on_progress(self, f: Mapping[str, Any]) -> None:
        self.line(f"· {f['line']}", "dim")

    def _on_warning(self, f: Mapping[str, Any]) -> None:
        self.line(f"  warning: {f['line']}", "yellow")

    def _on_inference(self, f: Mapping[str, Any]) -> None:
        flag = f" [{f['flag']}]" if f.get("flag") else ""
        self.line(f"  {f['what']}: {f['value']}  ({f['why']}){flag}")

    def _on_baseline(self, f: Mapping[str, Any]) -> None:
        tests = f["tests"]
        bad = [
            test
            for test, outcome in tests.items()
            if outcome in ("failed", "error") and test not in f["flaky"]
        ]
        took = f" in {f['duration_s']:.1f} s" if f.get("duration_s") is not None else ""
        flaky = f", {len(f['flaky'])} flaky" if f["flaky"] else ""
        self.line(f"  baseline: {len(tests)} tests, {len(bad)} failing{flaky}{took}, {f['runs']} runs")
        if f.get("problem"):
            self.line(f"    the tests could not be run: {f['problem']}", "red")
        if f.get("lacking"):
            modules = ", ".join(f["lacking"][:10])
            self.line(
                f"    tests cannot import {modules}: if it is not installed, say how with --setup", "yellow"
            )
        for test in bad[:10]:
            self.line(f"    FAILED {test}", "red")
        if len(bad) > 10:
            self.line(f"    ... and {len(bad) - 10} more", "red")

    def _on_reproduction(self, f: Mapping[str, Any]) -> None:
        new = f", {len(f['generated'])} of them new" if f["generated"] else ""
        self.line(f"  {'tester':<9} {len(f['targets'])} tests show the issue{new}")

    def _on_tool(self, f: Mapping[str, Any]) -> None:
        self._skip -= 1
        if self._skip >= 0:
            return
        node = f" {f['node']}" if f["node"] else ""
        what = " ".join(str(f["arguments"].get(key, "")) for key in ("path", "query", "command", "tests"))
        mark = "" if f["ok"] else "  (refused)"
        self.line(f"  {role_of(f):<9}{node} {f['name']} {' '.join(what.split())[:100]}{mark}", "dim")

    def _on_call_failed(self, f: Mapping[str, Any]) -> None:
        self.line(f"  model call failed ({f['kind']}): {str(f['error'])[:160]}", "yellow")

    def _on_call_retried(self, f: Mapping[str, Any]) -> None:
        self.line(f"  model call retried in {f['wait_s']:.1f} s: {str(f['error'])[:160]}", "yellow")

    def _on_nudge(self, f: Mapping[str, Any]) -> None:
        self.line(f"  {role_of(f):<9} was told: {f['reason']}", "yellow")

    def _on_compaction(self, f: Mapping[str, Any]) -> None:
        self.line(f"  {role_of(f):<9} conversation shortened: {f['dropped']} messages left out", "yellow")

    def _on_candidate(self, f: Mapping[str, Any]) -> None:
        text = f"  candidate {f['node']}: {f['summary']}"
        if text != self._candidate:  # a review that changes nothing says the same again
            self.line(text, "green" if f["green"] else "yellow")
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


def role_of(event: Mapping[str, Any]) -> str:
    """`coder` of an agent called `coder:openai/gpt-5`."""
    return str(event["agent"]).partition(":")[0]


def spent_line(totals: Mapping[str, Any]) -> str:
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
