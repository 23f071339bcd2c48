"""Search: single edits in order of suspiciousness times prior, then a beam of second edits.

The order is fixed before anything runs, so the ranking does not depend on the number of workers: a
candidate found later never overtakes one that stands before it.
"""

from __future__ import annotations

import ast
import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .candidate import Candidate, ordered
from .chunk import Chunk, SourceFile
from .guard import Checkout
from .pool import Pool
from .rank import rank
from .spectrum import Spectrum
from .templates import Context, mutants

_BATCHES = (60, 120, 250, 500, 1000, 2000)
_BEAM = 12
_LOOK_EVERY = 1.0


class Damaged(Exception):
    """The checkout was altered by a candidate."""


class Search:
    def __init__(
        self, session: Any, pool: Pool | None, spectrum: Spectrum, failing: Sequence[str], keep: Sequence[str],
        seconds: float, pristine: Checkout,
    ) -> None:  # fmt: skip
        self.session = session
        self.request: dict[str, Any] = session.request
        self.files: dict[str, SourceFile] = session.files
        self.pool = pool
        self.spectrum = spectrum
        self.failing = list(failing)
        self.keep = list(keep)
        self.limit = min(30.0, max(0.1, 10 * seconds))
        self.fresh_limit = min(120.0, 3.0 + 3 * session.collect_s + 20 * seconds)
        self.pristine = pristine
        self.looked = time.monotonic()
        self.tried = 0
        self.screened_s = 0.0
        self.first_s: float | None = None
        self.number = 0
        self.skip: int = self.request.get("skip", 0)
        self.plausible: list[tuple[int, Candidate]] = []
        self.improved: list[tuple[int, Candidate]] = []
        self.leaders: list[tuple[int, Candidate]] = []
        self.slow: list[tuple[int, Candidate]] = []
        self.needs_fresh: list[tuple[int, Candidate]] = []
        self.seen: set[tuple[Any, ...]] = set()
        self.stop_at: int | None = None
        self.statuses: dict[str, int] = {}
        self.spent: dict[str, float] = {"setup": time.monotonic() - session.started}
        if self.request.get("patient"):
            limit = self.request["time_limit_s"]
            session.deadline = min(time.monotonic(), session.started + limit) + limit
        spectrum.add_module_level(self.files)
        spectrum.follow_names(self.failing, self.files)
        spectrum.steer(self.request.get("hints", {}), self.files)

    @property
    def time_up(self) -> bool:
        return time.monotonic() >= self.session.deadline

    @property
    def enough(self) -> bool:
        return self.time_up or len(self.plausible) >= 2 * self.request["k"] + 2 or (
            self.stop_at is not None and self.number >= self.stop_at
        )  # fmt: skip

    def run(self) -> None:
        try:
            self.singles()
            if not self.plausible and not self.time_up:
                self.retry_slow()
            if not self.plausible and not self.time_up:
                self.pairs()
            self.look()
        except Damaged:
            self.session.result["status"] = "damaged"

    def singles(self) -> None:
        lines = self.spectrum.ranked()
        at = 0
        for size in _BATCHES:
            part = lines[at : at + size]
            at += size
            if not part or self.enough:
                break
            start = time.monotonic()
            batch = self.batch(part)
            self.note("generate", start)
            self.screen(batch)
            start = time.monotonic()
            self.run_fresh()
            self.note("fresh", start)

    def batch(self, lines: Sequence[tuple[str, int]]) -> list[Candidate]:
        places: dict[tuple[str, int, bool], tuple[Chunk, set[int]]] = {}
        for path, line in lines:
            file = self.files[path]
            chunk = file.chunk_at(line) or file.whole
            places.setdefault(chunk.key, (chunk, set()))[1].add(line)
            if chunk is not file.whole and line < _body_line(chunk):
                places.setdefault(file.whole.key, (file.whole, set()))[1].add(line)
        out: list[Candidate] = []
        for chunk, active in places.values():
            out += self.candidates(chunk, chunk, active)
            if self.time_up:
                break
        return ordered(out)

    def candidates(
        self, base: Chunk, current: Chunk, active: set[int] | None, seed: Candidate | None = None
    ) -> list[Candidate]:
        """Mutants of `current` (the base chunk, or a seed's version of it)."""
        file = self.files[base.path]
        names = [n.name for n in file.tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        try:
            context = Context(
                current, self.spectrum.types_of(base), names, self.spectrum.attributes,
                self.request.get("hints", {}).get("words", {}), active,
            )  # fmt: skip
        except (SyntaxError, RecursionError, AttributeError):
            return []
        out = []
        for edit in mutants(context):
            key = (base.key, edit.text)
            if key in self.seen or edit.text == base.text:
                continue
            self.seen.add(key)
            suspicion = self.spectrum.scores.get((base.path, edit.line), 0.3)
            score = edit.prior * suspicion * (seed.score if seed else 1.0)
            templates = (*(seed.templates if seed else ()), edit.template)
            out.append(Candidate(((base, edit.text),), templates, score, edit.line))
        return out

    def screen(
        self, candidates: Sequence[Candidate], limit: float | None = None, again: bool = False
    ) -> None:
        """Run candidates in the warm workers; sort them into plausible, improved, slow, to run fresh."""
        table: dict[int, Candidate] = {}

        def jobs() -> Iterator[dict[str, Any]]:
            for candidate in candidates:
                self.number += 1
                if self.number <= self.skip:
                    continue
                if self.enough:
                    return
                if self.pool is None or candidate.fresh_only:
                    self.needs_fresh.append((self.number, candidate))
                    continue
                table[self.number] = candidate
                job = candidate.job(self.number, limit or self.limit)
                job["again"] = again
                yield job

        start = time.monotonic()
        if self.pool is None:
            for _ in jobs():
                pass
            return
        for job, answer in self.pool.map(jobs(), self.session.deadline):
            number = job["id"]
            candidate = table.pop(number)
            status = answer["status"]
            self.tried += 1
            if len(self.leaders) < _BEAM and status == "ok" and not answer.get("gained"):
                self.leaders.append((number, candidate))
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status == "ok" and answer.get("passed"):
                self.confirm(number, candidate)
            elif status == "ok" and answer.get("gained", 0) > 0:
                gain = candidate._replace(gained=answer["gained"] - answer["lost"])
                self.improved.append((number, gain))
            elif status == "timeout" and answer.get("slow") and not again:
                self.slow.append((number, candidate))
            elif status == "fresh":
                self.needs_fresh.append((number, candidate))
            if status in ("crash", "hung") or time.monotonic() - self.looked > _LOOK_EVERY:
                self.look()
        self.screened_s += time.monotonic() - start

    def confirm(self, number: int, candidate: Candidate) -> None:
        """The whole selection again in a pristine fork: a reused worker may have been left in a good mood."""
        start = time.monotonic()
        if self.session.judge_in_fork(candidate, min(30.0, 20 * self.limit)):
            if self.request["k"] == 1:
                self.judge_fresh([(number, candidate)])
            else:
                self.accept(number, candidate)
        self.note("confirm", start)
        self.screened_s -= time.monotonic() - start

    def note(self, what: str, start: float) -> None:
        """Add up wall seconds by kind of work."""
        self.spent[what] = round(self.spent.get(what, 0.0) + time.monotonic() - start, 3)

    def accept(self, number: int, candidate: Candidate) -> None:
        if self.first_s is None:
            self.first_s = time.monotonic() - self.session.started
        self.plausible.append((number, candidate))
        bound = number + (max(300, number // 2) if self.request["k"] > 1 else 0)
        self.stop_at = bound if self.stop_at is None else min(self.stop_at, bound)
        self.progress()

    def judge_fresh(self, found: Sequence[tuple[int, Candidate]]) -> None:
        """Fresh runs of the tests as they are written."""
        targets = self.failing + self.keep if len(self.failing) + len(self.keep) <= 400 else self.failing
        jobs = [
            {"arguments": targets, "overrides": c.sources(self.files), "limit": self.fresh_limit} for _, c in found
        ]  # fmt: skip
        answers = self.session.fresh.run(jobs, lambda: self.time_up)
        for (number, candidate), outcomes in zip(found, answers):
            if outcomes and green(outcomes, self.failing, self.keep):
                self.accept(number, candidate)

    def run_fresh(self, share: float = 0.35) -> None:
        """Candidates that only a fresh import can judge, within a share of the time left."""
        queue, self.needs_fresh = self.needs_fresh, []
        share = 1.0 if self.pool is None else share
        until = time.monotonic() + share * max(0.0, self.session.deadline - time.monotonic())
        size = max(1, self.request["workers"])
        for at in range(0, len(queue), size):
            if time.monotonic() > until or self.time_up or len(self.plausible) >= 2 * self.request["k"] + 2:
                return
            if self.plausible and queue[at][0] > min(found for found, _ in self.plausible):
                return
            self.judge_fresh(queue[at : at + size])
            self.tried += len(queue[at : at + size])
            if time.monotonic() - self.looked > _LOOK_EVERY:
                self.look()

    def retry_slow(self) -> None:
        """Once more with a longer limit, where everything before the timeout had passed."""
        slow, self.slow = self.slow[:40], []
        self.screen([candidate for _, candidate in slow], min(20.0, 10 * self.limit), again=True)

    def pairs(self) -> None:
        """Second edits: on seeds that turned something green, then on the best single edits."""
        ranked = sorted(self.improved, key=lambda pair: (-pair[1].gained, pair[0]))
        ranked += self.leaders  # where nothing got better there is no signal but the order
        for round_ in range(4):
            seeds = ranked[round_ * _BEAM : (round_ + 1) * _BEAM]
            batch: list[Candidate] = []
            for _, seed in seeds:
                (base, text) = seed.edits[0]
                batch += self.candidates(base, base.with_text(text), None, seed._replace(score=1.0))
                if self.time_up:
                    return
            self.screen(ordered(batch))
            if self.enough:
                return
            self.retry_slow()
            if self.enough or not seeds:
                break

    def look(self) -> None:
        self.looked = time.monotonic()
        self.progress()
        if self.pristine.damage():
            raise Damaged

    def progress(self) -> None:
        path = self.request.get("progress")
        if path:
            with open(path + ".part", "w", encoding="utf-8") as handle:
                json.dump(
                    {"tried": self.tried, "plausible": len(self.plausible), "number": self.number}, handle
                )
            os.replace(path + ".part", path)

    def finalists(self, ranked: list[Candidate]) -> list[Candidate]:
        """The first k that also pass a fresh run of the tests as they are written, in order."""
        if self.pool is None or self.request["k"] == 1 or self.session.result["status"] == "damaged":
            return ranked
        kept: list[Candidate] = []
        targets = self.failing + self.keep if len(self.failing) + len(self.keep) <= 400 else self.failing
        size = max(1, self.request["workers"])
        hurry = time.monotonic() + max(20.0, self.fresh_limit)
        for at in range(0, len(ranked), size):
            part = ranked[at : at + size]
            jobs = [
                {"arguments": targets, "overrides": c.sources(self.files), "limit": self.fresh_limit}
                for c in part
            ]
            answers = self.session.fresh.run(jobs, lambda: False)
            kept += [c for c, seen in zip(part, answers) if seen and green(seen, self.failing, self.keep)]
            if len(kept) >= self.request["k"] or time.monotonic() > hurry:
                break
        return kept

    def report(self) -> None:
        result = self.session.result
        start = time.monotonic()
        best = self.finalists(rank(self.plausible, self.files, self.spectrum))
        self.note("finalists", start)
        result["plausible"] = [c.to_json(self.files, i + 1) for i, c in enumerate(best[: self.request["k"]])]
        partial = sorted(self.improved, key=lambda pair: (-pair[1].gained, pair[0]))[:3]
        result["partial"] = [c.to_json(self.files, 0) for _, c in partial if c.gained > 0]
        if result["status"] == "error":
            result["status"] = "ok"
        if not best:
            nothing = "no candidate made the failing tests pass"
            if not self.tried:
                nothing = "the failing tests reach no line that may be edited"
            result["message"] = result["message"] or nothing
        result["stats"] = {
            "tried": self.tried, "first_s": self.first_s, "number": self.number, "statuses": self.statuses,
            "screened_s": self.screened_s, "per_s": self.tried / self.screened_s if self.screened_s > 0 else None,
            "limit_s": self.limit, "improved": len(self.improved), "lines": len(self.spectrum.scores), "spent": self.spent,
        }  # fmt: skip


def green(outcomes: dict[str, str], failing: Sequence[str], keep: Sequence[str]) -> bool:
    """All failing tests pass and none of the kept ones fails."""

    def outcome(test: str) -> str:
        if test in outcomes:
            return outcomes[test]
        if "::" not in test:
            family = [o for name, o in outcomes.items() if name.startswith(test + ".")]
            return ("failed" if "failed" in family else family[0]) if family else "missing"
        family = [o for name, o in outcomes.items() if name.startswith((test + "[", test + "::"))]
        if not family:
            return "missing"
        return "failed" if "failed" in family else family[0]

    if any(outcome(test) != "passed" for test in failing):
        return False
    return not any(outcome(test) in ("failed", "missing") for test in keep)


def _body_line(chunk: Chunk) -> int:
    return chunk.line(chunk.function.body[0])  # type: ignore[attr-defined]
