"""LiveScreen: `solve` on a terminal. What happened scrolls by; below it stands what is being done now."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from ...tools.excerpt import printable
from ..record.event import JsonObject, Line, read
from ..record.events import Called, Said, ToolUsed
from .screen import Screen, dollars, is_live, role_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_SHOWN = 4
"""Candidates in the lower part: the latest."""


class LiveScreen(Screen):
    """Clock, model calls, tokens and dollars; the tool that runs and how the last one ended; the candidates
    with their verdicts. Without `verbose` tool lines are shown there alone."""

    def __init__(self, *, verbose: bool = False, stream: bool = False) -> None:
        super().__init__(stream=stream)
        from rich.console import Console
        from rich.live import Live

        self._verbose = verbose
        self._console = Console(stderr=True, highlight=False)
        self._started = time.monotonic()
        self._doing, self._since = "", self._started
        self._last = self._tests = ""
        self._calls = self._tokens = 0
        self._cost: float | None = 0.0
        self._verdicts: dict[str, tuple[str, bool]] = {}
        self._live = Live(
            get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def line(self, text: str, style: str = "") -> None:
        # wrapped by the terminal, which gives a path back whole when it is copied
        self._console.print(
            printable(text), style=style or None, markup=False, highlight=False, soft_wrap=True
        )

    def __call__(self, type: str, fields: Line) -> None:
        self._take_in(type, fields)
        if type not in ("tool", "progress") or self._verbose:
            super().__call__(type, fields)
        elif self._stream and type != "progress":
            self._print_event(type, fields)

    def on_tests(self, done: int, total: int) -> None:
        """How far the tests are that run now."""
        self._tests = f", {done} of {total} tests"

    def _take_in(self, type: str, fields: Line) -> None:
        match read({"type": type, **fields}):
            case Said() as said if said.tool_calls:
                self._begin(f"{role_of(said.agent)}: {_calls_of(said)}")
            case ToolUsed() as used:
                mark = "ok" if used.ok else "refused"
                self._last = f"{role_of(used.agent)}: {used.name} {mark}, {used.duration_s:.1f} s"
                self._begin(f"{role_of(used.agent)}: the model is asked")
            case Called() as called:
                self._count(called.usage)
            case None if type == "progress":
                self._begin(str(fields["line"]))
            case None if type == "candidate":
                self._verdicts.pop(str(fields["node"]), None)
                self._verdicts[str(fields["node"])] = (str(fields["summary"]), bool(fields["green"]))
            case _:
                pass

    def _begin(self, what: str) -> None:
        self._doing, self._since, self._tests = what, time.monotonic(), ""

    def _count(self, usage: JsonObject) -> None:
        self._calls += 1
        self._tokens += (usage.get("prompt_tokens") or 0) + (usage.get("completion_tokens") or 0)
        cost = usage.get("cost_usd")
        self._cost = None if cost is None or self._cost is None else self._cost + cost

    def _render(self) -> RenderableType:
        from rich.console import Group

        now = time.monotonic()
        rows = [
            self._row(f"{clock(now - self._started)}  {self._calls} model calls, {self._tokens} tokens, "
                      f"{dollars(self._cost)}", "bold"),
            self._row(f"now   {self._doing or 'starting'}{self._tests}  ({now - self._since:.0f} s)", "cyan"),
        ]  # fmt: skip
        if self._last:
            rows.append(self._row(f"last  {self._last}", "dim"))
        for node, (summary, green) in list(self._verdicts.items())[-_SHOWN:]:
            rows.append(self._row(f"{node:<5} {summary}", "green" if green else "yellow"))
        return Group(*rows)

    def _row(self, text: str, style: str) -> Text:
        """One row, cut to the width of the terminal."""
        from rich.text import Text

        return Text(printable(text).replace("\n", " "), style=style, no_wrap=True, overflow="ellipsis")


def clock(seconds: float) -> str:
    """1:02:03, or 02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _calls_of(said: Said) -> str:
    """The tools that a message calls, with what they are called on."""
    shown: list[str] = []
    for call in said.tool_calls:
        function = call.get("function") or {}
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except (ValueError, RecursionError):
            arguments = {}
        keys = ("path", "query", "command", "tests")
        what = " ".join(
            _plain(arguments[key]) for key in keys if isinstance(arguments, dict) and arguments.get(key)
        )
        shown.append(f"{function.get('name', '')} {' '.join(what.split())}".strip())
    return ", ".join(shown)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def make_screen(*, quiet: bool, verbose: bool, stream: bool) -> Screen:
    """Live on a terminal; plain lines when piped, in CI, with TERM=dumb or quiet."""
    if quiet or not is_live():
        return Screen(quiet=quiet, stream=stream)
    return LiveScreen(verbose=verbose, stream=stream)
