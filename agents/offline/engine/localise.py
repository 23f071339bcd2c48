"""Localise: which lines the failing assertions ran, and what types the variables had there.

Suspiciousness is Ochiai's coefficient (Abreu et al. 2007): ef / sqrt((ef + nf) * (ef + ep)) with ef and ep
the failing and passing units (assertions) that executed a line and nf the failing ones that did not.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Mapping, TextIO, Tuple

from .suite import Suite, Unit

if TYPE_CHECKING:
    from .shapes import Traced

Line = Tuple[str, int]
_TYPE_SAMPLES = 40


def kind_of(value: Any) -> str:
    """`int`, `list[str]`, `dict[str]` (keys), a class's name."""
    name = type(value).__name__
    if type(value) in (list, tuple, set, frozenset, dict) and value:
        try:
            return f"{name}[{type(next(iter(value))).__name__}]"
        except (RuntimeError, StopIteration):
            return name
    return name


class Spectrum:
    """Covered lines per unit, variable types per function, attributes per class."""

    def __init__(self) -> None:
        self.failing: list[set[Line]] = []
        self.passing: list[set[Line]] = []
        self.types: dict[tuple[str, int], dict[str, list[str]]] = {}
        self.attributes: dict[str, list[str]] = {}
        self.reached: dict[int, set[Line]] = {}
        """First lines of the functions that a test calls, for the tests that were traced to their end."""
        self.events = 0
        """Calls, and lines of editable files, that the tests ran: their work, whatever the machine."""

    def scores(self) -> dict[Line, float]:
        """Ochiai per line reached by a failing unit, in (0, 1]."""
        ef: dict[Line, int] = {}
        ep: dict[Line, int] = {}
        for lines in self.failing:
            for line in lines:
                ef[line] = ef.get(line, 0) + 1
        for lines in self.passing:
            for line in lines:
                if line in ef:
                    ep[line] = ep.get(line, 0) + 1
        total = len(self.failing)
        return {line: count / math.sqrt(total * (count + ep.get(line, 0))) for line, count in ef.items()}

    def to_json(self) -> Traced:
        return {
            "scores": [(path, line, score) for (path, line), score in sorted(self.scores().items())],
            "types": [(path, line, names) for (path, line), names in sorted(self.types.items())],
            "attributes": self.attributes,
            "units": (len(self.failing), len(self.passing)),
            "events": self.events,
            "reached": [(test, sorted(lines)) for test, lines in sorted(self.reached.items())],
        }


class Tracer:
    """A settrace tracer that looks only at editable files."""

    def __init__(
        self, path_of: Callable[[str], str | None], spectrum: Spectrum, journal: TextIO | None = None
    ) -> None:
        self.journal = journal
        self.path_of = path_of
        self.spectrum = spectrum
        self.lines: set[Line] = set()
        self.functions: set[Line] = set()
        self.samples: dict[Any, int] = {}

    def start(self) -> None:
        threading.settrace(self.call)
        sys.settrace(self.call)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def call(self, frame: Any, event: str, arg: Any) -> Any:
        self.spectrum.events += 1
        path = self.path_of(frame.f_code.co_filename)
        if path is None:
            return None
        code = frame.f_code
        self.functions.add((path, code.co_firstlineno))

        def local(frame: Any, event: str, arg: Any) -> Any:
            self.spectrum.events += 1
            self.reach((path, frame.f_lineno))
            if event != "exception":
                seen = self.samples.get(code, 0)
                if seen < _TYPE_SAMPLES or (event == "return" and seen < 10 * _TYPE_SAMPLES):
                    self.samples[code] = seen + 1
                    self.types(path, code, frame.f_locals)
            return local

        self.reach((path, frame.f_lineno))
        if self.samples.get(code, 0) < 10 * _TYPE_SAMPLES:
            self.types(path, code, frame.f_locals)
        return local

    def reach(self, line: Line) -> None:
        if line not in self.lines:
            self.lines.add(line)
            if self.journal is not None:
                self.journal.write(f"{line[0]}:{line[1]}\n")
                self.journal.flush()

    def types(self, path: str, code: Any, variables: Mapping[str, object]) -> None:
        table = self.spectrum.types.setdefault((path, code.co_firstlineno), {})
        for name, value in variables.items():
            kinds = table.setdefault(name, [])
            kind = kind_of(value)
            if kind not in kinds and len(kinds) < 6:
                kinds.append(kind)
            owner = type(value)
            if (
                owner.__name__ not in self.spectrum.attributes
                and hasattr(value, "__dict__")
                and not isinstance(value, type)
            ):
                if owner.__module__ not in ("builtins",) and callable(value) is False:
                    names = [n for n in dir(owner) if not n.startswith("__")]
                    own = [n for n in vars(value) if n not in names]
                    self.spectrum.attributes[owner.__name__] = (own + names)[:60]


def localise(
    suite: Suite, failing: Sequence[int], passing: Sequence[int], path_of: Callable[[str], str | None],
    out_of_time: Callable[[], bool], journal: TextIO, limit: float = 2.0,
) -> Spectrum:  # fmt: skip
    """Run the tests under the tracer; runs in a forked child, for tests leave traces in the process. Lines go
    to `journal` as they are first reached, which is all that is left when a test never returns."""
    spectrum = Spectrum()
    tracer = Tracer(path_of, spectrum, journal)

    def cut(line: int, good: bool) -> None:
        lines, tracer.lines = tracer.lines, set()
        if lines:
            (spectrum.passing if good else spectrum.failing).append(lines)

    suite.recorder.cut = cut
    for test in [*failing, *passing]:
        if out_of_time() and (test not in failing or len(spectrum.failing) >= 3):
            break
        tracer.lines, tracer.functions = set(), set()
        journal.write("\n#\n")
        tracer.start()
        try:
            verdict = suite.bounded(test, limit)
            limit = 0.1 if verdict.error == "Stop" else limit
        finally:
            tracer.stop()
        if verdict.error != "Stop":
            spectrum.reached[test] = tracer.functions
        ended = verdict.units[Unit(test, 0, 0)]
        rest, tracer.lines = tracer.lines, set()
        if rest and (verdict.error or len(verdict.units) == 1):
            (spectrum.passing if ended else spectrum.failing).append(rest)
    suite.recorder.cut = None
    return spectrum
