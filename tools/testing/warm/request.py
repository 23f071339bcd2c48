"""What a test run puts into the sandbox and reads back from it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import cast

from ...errors import SandboxError
from ...sandbox import Sandbox
from ..report import Outcome, TestReport, TestResult

FOLDER = ".git/swe-agent"
"""Inside the repository's git directory: outside the working tree, present in every kind of sandbox at a
path that `read_bytes` reaches, and copied by a fork."""
REPORT_BYTES = 256 << 20
_MOST_STRANGE, _MOST_MARKS, _MOST_CHARS = 1000, 50, 20_000
"""Of lines that are no event of ours, of marks, and of the text of one event: code under test may write any number."""
HEAD_CHARS, TAIL_CHARS = 6000, 14000
_NOT_AN_END = (2, 3, 4)
"""pytest's exit codes of a run that was interrupted, failed by itself, or was called wrongly."""


@cache
def inside(name: str) -> bytes:
    """Source of one of the modules that run inside the sandbox."""
    package = (__package__ or __name__).rpartition(".")[0]
    return resources.files(package).joinpath("inside").joinpath(name).read_bytes()


def place(
    sandbox: Sandbox, folder: str, request: Mapping[str, object], names: Iterable[str]
) -> PurePosixPath:
    """Write a request and the modules it needs; returns the folder's absolute path."""
    for name in names:
        sandbox.write_bytes(f"{folder}/{name}", inside(name))
    sandbox.write_bytes(f"{folder}/request.json", json.dumps(request).encode())
    return sandbox.root / folder


@dataclass(slots=True)
class Events:
    """A report file, read. Its author is code under test: nothing in it is trusted to be well-formed.

    A signed report is one of which each line carries a hash of all lines up to it under a key that its author
    gave away before the code under test was imported: lines that another wrote are left out and told in
    `marks`.
    """

    results: dict[str, TestResult] = field(default_factory=dict[str, TestResult])
    uncollected: dict[str, str] = field(default_factory=dict[str, str])
    unknown: list[str] = field(default_factory=list[str])
    covered: dict[str, Mapping[str, Sequence[int]]] = field(
        default_factory=dict[str, Mapping[str, Sequence[int]]]
    )
    running: str | None = None
    done: int | None = None
    collected: int | None = None
    marks: list[str] = field(default_factory=list[str])
    """Signs that the code under test reached for its judge."""
    makers: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Mark -> the tests or files in whose run it was made; those that nobody in particular made are not here."""
    signed: bool = False
    _started: set[str] = field(default_factory=set[str])
    _starts: int = 0

    @classmethod
    def parse(cls, data: bytes, key: str | None = None) -> Events:
        """`key` is the one of a signed report."""
        events = cls(signed=key is not None)
        lines: Iterable[bytes] = _lines(data)
        if key is not None:
            lines = events._authentic(lines, key)
        strange = 0
        for line in lines:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                event = None
            if isinstance(event, dict):
                events._take(event)
            elif (strange := strange + 1) > _MOST_STRANGE:
                break
        del events.marks[_MOST_MARKS:]
        return events

    def _authentic(self, lines: Iterable[bytes], key: str) -> Iterator[bytes]:
        """The lines that the report's author wrote, in their order; each further test process of one command
        goes on with a key made from the one before."""
        mac, forged = _mac(key), 0
        for line in lines:
            signature, _, body = line.partition(b" ")
            if not body:
                continue
            following = hashlib.sha256(key.encode()).hexdigest()
            for candidate, with_key in ((mac.copy(), key), (_mac(following), following)):
                candidate.update(body + b"\n")
                if hmac.compare_digest(candidate.hexdigest().encode(), signature):
                    mac, key = candidate, with_key
                    yield body
                    break
            else:
                forged += 1
                if forged > _MOST_STRANGE:
                    break
        if forged:
            self.marks.append("the report holds lines that the test runner did not write")

    def _take(self, event: Mapping[str, object]) -> None:
        if isinstance(test := event.get("test"), str):
            self._result(test, event)
        elif isinstance(start := event.get("start"), str):
            self.running = start
            self._started.add(start)
            self._starts += 1
        elif isinstance(mark := event.get("mark"), str):
            if mark not in self.marks[:_MOST_MARKS]:
                self.marks.append(mark[:_MOST_CHARS])
                if makers := _names(event.get("by")):
                    self.makers[mark[:_MOST_CHARS]] = makers
        elif isinstance(count := event.get("collected"), int):
            self.collected = (self.collected or 0) + count
        elif isinstance(name := event.get("uncollected"), str):
            self.uncollected[name] = _message(event)
        elif isinstance(name := event.get("unknown"), str):
            self.unknown.append(name)
        elif isinstance(test := event.get("covered"), str) and isinstance(lines := event.get("lines"), dict):
            self.covered[test] = {
                str(path): [n for n in hit if isinstance(n, int)] for path, hit in lines.items()
            }
        elif isinstance(done := event.get("done"), int):
            self.done = done

    def _result(self, test: str, event: Mapping[str, object]) -> None:
        try:
            outcome = Outcome(event.get("outcome"))
        except ValueError:
            return
        duration = event.get("duration")
        seconds = float(duration) if isinstance(duration, (int, float)) else None
        known = self.results.get(test)
        if self.signed and outcome.good:
            if test not in self._started:
                self.marks.append(f"{test} is reported as {outcome} and was never started")
                return
            if known is not None and known.outcome.bad:
                self.marks.append(f"{test} is reported twice, first as {known.outcome}")
                return
        self.results[test] = TestResult(outcome, seconds, _message(event))
        self.running = None

    @property
    def ended(self) -> bool:
        """Whether the test process said that it was at its end, after all that it had collected; a report that
        nobody signed cannot tell."""
        if not self.signed:
            return True
        if self.done is None or self.done in _NOT_AN_END:
            return False
        return self.collected is None or self._starts >= self.collected

    def report(
        self,
        *,
        exit_code: int,
        duration_s: float,
        output: str,
        timed_out: bool,
        log_path: str | None,
        warm: bool = False,
        placeless: Callable[[str], str] = str,
    ) -> TestReport:
        """The run as a report; a test that was running when the process died is an error. `placeless` is the
        sandbox's."""
        results = {
            test: replace(result, message=placeless(result.message)) for test, result in self.results.items()
        }
        output = placeless(output)
        if self.done is None and self.running is not None and self.running not in results:
            why = (
                "the run was killed at its time limit"
                if timed_out
                else f"the process died (exit {exit_code})"
            )
            results[self.running] = TestResult(Outcome.ERROR, None, f"did not finish: {why}")
        uncollected = {name: placeless(message) for name, message in self.uncollected.items()}
        for name, message in uncollected.items():
            results.setdefault(name, TestResult(Outcome.ERROR, None, message))
        errors = [f"{name}: {message}" for name, message in uncollected.items()]
        errors += [f"{name}: no test has this id, and no file or folder this name" for name in self.unknown]
        if self.done is None and not results and not timed_out:
            errors.append(f"no test was collected; the output ends: {output.strip()[-1500:]}")
        return TestReport(
            results,
            exit_code,
            duration_s,
            ends(output),
            timed_out,
            log_path,
            tuple(errors),
            tuple(self.unknown),
            warm,
            ended=self.ended,
            marks=tuple(self.marks),
            marked=tuple(dict.fromkeys(name for names in self.makers.values() for name in names))
            if self.makers.keys() >= set(self.marks)
            else (),
        )


def _names(value: object) -> list[str]:
    """A name, or names, from a line of the report."""
    found = cast("list[object]", value) if isinstance(value, list) else [value]
    return [name for name in found if isinstance(name, str)]


def _lines(data: bytes) -> Iterator[bytes]:
    """The lines that hold anything, without a list of all of them."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        if end > at:
            yield data[at:end]
        at = end + 1


def _message(event: Mapping[str, object]) -> str:
    return str(event.get("message") or "")[:_MOST_CHARS]


def ends(output: str) -> str:
    """Head and tail of an output."""
    if len(output) <= HEAD_CHARS + TAIL_CHARS:
        return output
    dropped = len(output) - HEAD_CHARS - TAIL_CHARS
    return f"{output[:HEAD_CHARS]}\n[... {dropped} characters ...]\n{output[-TAIL_CHARS:]}"


def _mac(key: str) -> hashlib.blake2b:
    return hashlib.blake2b(key=bytes.fromhex(key), digest_size=16)


def read_events(sandbox: Sandbox, folder: str, key: str | None = None) -> Events:
    """`key`: see `Events.parse`. Raises: SandboxError."""
    try:
        return Events.parse(sandbox.read_bytes(f"{folder}/report.jsonl", max_bytes=REPORT_BYTES), key)
    except FileNotFoundError:
        return Events()
    except OSError as error:
        raise SandboxError(f"the test report cannot be read back: {error}") from error
