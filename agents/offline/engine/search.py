"""Search: single edits in order of suspiciousness times prior, then edits put together, then a beam of second edits.

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
from .outcomes import green
from .plan import Numbered, Plan, keep_first, nothing
from .pool import Pool
from .rank import rank, telling
from .spectrum import Spectrum
from .templates import Context, mutants

_BATCHES = (60, 120, 250, 500, 1000, 2000)
_BEAM = 12
_LEADERS = 400
"""Candidates that change nothing for the better are seeds of second edits when they stand so near the front."""
_MOST_IDS = 300
"""Tests that an ordinary run is given by name; where there are more it is given their files."""
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
        self.plan = Plan(
            self.request["effort"], self.request["k"], self.request.get("skip", 0), pool is not None
        )
        self.looked = time.monotonic()
        self.tried = 0
        self.screened_s = 0.0
        self.first_s: float | None = None
        self.best = 0
        self.where = ""
        self.improved: dict[str, Numbered] = {}
        self.leaders: dict[str, Numbered] = {}
        self.slow: list[Numbered] = []
        self.needs_fresh: list[Numbered] = []
        self.seen: set[tuple[Any, ...]] = set()
        self.statuses: dict[str, int] = {}
        self.spent: dict[str, float] = {"setup": time.monotonic() - session.started}
        spectrum.add_module_level(self.files)
        spectrum.follow_names(self.failing, self.files)
        spectrum.steer(self.request.get("hints", {}), self.files)

    @property
    def time_up(self) -> bool:
        return time.monotonic() >= self.session.deadline

    @property
    def over(self) -> bool:
        return self.plan.done or self.time_up

    def run(self) -> None:
        try:
            self.singles()
            if not self.plan.plausible and not self.time_up:
                self.retry_slow()
            if not self.plan.plausible and not self.over:
                self.together()
            if not self.plan.plausible and not self.over:
                self.pairs()
            self.run_fresh(self.plan.fresh_left)
            self.look()
        except Damaged:
            self.session.result["status"] = "damaged"

    def singles(self) -> None:
        lines = self.spectrum.ranked()
        at = 0
        for size in _BATCHES:
            part = lines[at : at + size]
            at += size
            if not part or self.over:
                break
            start = time.monotonic()
            batch = self.batch(part)
            self.note("generate", start)
            self.where = ", ".join(dict.fromkeys(path for path, _ in part[:20]))
            self.screen(batch)
            start = time.monotonic()
            self.run_fresh(max(8, self.plan.fresh_left // 3))
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
        return ordered(out)

    def candidates(
        self, base: Chunk, current: Chunk, active: set[int] | None, seed: Candidate | None = None
    ) -> list[Candidate]:
        """Mutants of `current` (the base chunk, or a seed's version of it)."""
        file = self.files[base.path]
        names = [n.name for n in file.tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        hints = self.request.get("hints", {})
        try:
            context = Context(
                current, self.spectrum.types_of(base), names, self.spectrum.attributes,
                hints, active, file, self.spectrum.errors,
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
                number = self.plan.next()
                if number <= self.plan.skip:
                    continue
                if self.over:
                    return
                if self.pool is None or candidate.fresh_only:
                    self.needs_fresh.append((number, candidate))
                    continue
                table[number] = candidate
                yield {**candidate.job(number, limit or self.limit), "again": again}

        start = time.monotonic()
        if self.pool is None:
            for _ in jobs():
                pass
            return
        for job, answer in self.pool.map(jobs(), self.session.deadline):
            self.sort_in(job["id"], table.pop(job["id"]), answer, again)
        self.screened_s += time.monotonic() - start

    def sort_in(self, number: int, candidate: Candidate, answer: dict[str, Any], again: bool) -> None:
        """Where a warm worker's answer puts a candidate."""
        status, key = answer["status"], answer.get("key", str(number))
        self.tried += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        gained = answer.get("gained", 0)
        if status == "ok" and answer.get("passed"):
            self.confirm(number, candidate, key)
        elif status == "ok" and gained > 0:
            self.best = max(self.best, gained)
            keep_first(self.improved, key, number, candidate._replace(gained=gained - answer["lost"]))
        elif status == "ok" and number <= _LEADERS:
            keep_first(self.leaders, key, number, candidate)
        elif status == "timeout" and answer.get("slow") and not again:
            self.slow.append((number, candidate))
        elif status == "fresh":
            self.needs_fresh.append((number, candidate))
        if status in ("crash", "hung") or time.monotonic() - self.looked > _LOOK_EVERY:
            self.look()

    def confirm(self, number: int, candidate: Candidate, key: str) -> None:
        """The whole selection again in a pristine fork: a reused worker may have been left in a good mood."""
        start = time.monotonic()
        if self.session.judge_in_fork(candidate, min(30.0, 20 * self.limit)):
            if self.request["k"] == 1:
                self.judge_fresh([(number, candidate)], key)
            else:
                self.accept(number, candidate, key)
        self.note("confirm", start)
        self.screened_s -= time.monotonic() - start

    def note(self, what: str, start: float) -> None:
        """Add up wall seconds by kind of work."""
        self.spent[what] = round(self.spent.get(what, 0.0) + time.monotonic() - start, 3)

    def accept(self, number: int, candidate: Candidate, key: str) -> None:
        if self.first_s is None:
            self.first_s = time.monotonic() - self.session.started
        self.plan.accept(number, candidate, key)
        self.progress()

    def judge_fresh(self, found: Sequence[Numbered], key: str = "") -> None:
        """Fresh runs of the tests as they are written: the failing ones, and where they pass all."""
        for keep in ([], self.keep) if self.keep else ([],):
            jobs = [self.fresh_job(candidate, keep) for _, candidate in found]
            answers = self.session.fresh.run(jobs, lambda: self.time_up)
            found = [pair for pair, seen in zip(found, answers) if seen and green(seen, self.failing, keep)]
        for number, candidate in found:
            self.accept(number, candidate, key or str(number))

    def fresh_job(self, candidate: Candidate, keep: Sequence[str]) -> dict[str, Any]:
        targets = [*self.failing, *keep]
        if len(targets) > _MOST_IDS and all("::" in test for test in targets):
            targets = sorted({test.partition("::")[0] for test in targets})
        return {
            "arguments": targets,
            "overrides": candidate.sources(self.files),
            "limit": self.fresh_limit,
        }

    def run_fresh(self, count: int) -> None:
        """The best `count` of the candidates that only a fresh import can judge."""
        queue = sorted(self.needs_fresh, key=lambda pair: (-pair[1].score, pair[0]))
        size = max(1, self.session.workers)
        count = min(count, self.plan.fresh_left)
        done = 0
        while done < min(count, len(queue)) and not self.time_up:
            first = self.plan.first
            part = [pair for pair in queue[done : done + size] if first is None or pair[0] < first]
            done += size
            if part:
                self.where = part[0][1].edits[0][0].path
                self.judge_fresh(part)
                self.plan.fresh_left -= len(part)
                self.tried += len(part)
            if time.monotonic() - self.looked > _LOOK_EVERY:
                self.look()
        self.needs_fresh = queue[done:]

    def retry_slow(self) -> None:
        """Once more with a longer limit, where everything before the timeout had passed."""
        slow, self.slow = sorted(self.slow, key=lambda pair: pair[0])[:40], []
        self.screen([candidate for _, candidate in slow], min(20.0, 10 * self.limit), again=True)

    def seeds(self) -> list[Candidate]:
        """Edits that turned something green, those that gained most first."""
        ranked = sorted(self.improved.values(), key=lambda pair: (-pair[1].gained, pair[0]))
        return [candidate for _, candidate in ranked]

    def together(self) -> None:
        """Two edits in different places, each of which turned something green: an issue may have two causes."""
        best = self.seeds()[:40]
        both = [
            Candidate(
                one.edits + two.edits,
                one.templates + two.templates,
                one.score * two.score,
                one.line,
                one.gained + two.gained,
            )  # fmt: skip
            for at, one in enumerate(best)
            for two in best[at + 1 :]
            if one.edits[0][0].key != two.edits[0][0].key
        ]
        both.sort(key=lambda c: (-c.gained, -c.score))
        self.screen(both[:400])

    def pairs(self) -> None:
        """Second edits: on seeds that turned something green, then on the best single edits."""
        leaders = sorted(self.leaders.values(), key=lambda pair: pair[0])[:_BEAM]
        ranked = self.seeds() + [c for _, c in leaders]  # where nothing got better the order is all there is
        for round_ in range(4):
            seeds = ranked[round_ * _BEAM : (round_ + 1) * _BEAM]
            batch: list[Candidate] = []
            for seed in seeds:
                (base, text) = seed.edits[0]
                batch += self.candidates(base, base.with_text(text), None, seed._replace(score=1.0))
                if self.time_up:
                    return
            self.screen(ordered(batch))
            if self.over:
                return
            self.retry_slow()
            if self.over or not seeds:
                break

    def look(self) -> None:
        self.looked = time.monotonic()
        self.progress()
        if self.pristine.damage():
            raise Damaged

    def progress(self) -> None:
        path = self.request.get("progress")
        if path:
            seen = {
                "tried": self.tried, "plausible": len(self.plan.plausible), "number": self.plan.number,
                "planned": self.plan.effort, "best": self.best, "where": self.where,
            }  # fmt: skip
            with open(path + ".part", "w", encoding="utf-8") as handle:
                json.dump(seen, handle)
            os.replace(path + ".part", path)

    def finalists(self, ranked: list[Candidate]) -> list[Candidate]:
        """The first k that also pass a fresh run of the tests as they are written, in order."""
        if self.pool is None or self.request["k"] == 1 or self.session.result["status"] == "damaged":
            return ranked
        kept: list[Candidate] = []
        size = max(1, self.session.workers)
        for at in range(0, len(ranked), size):
            part = ranked[at : at + size]
            answers = self.session.fresh.run([self.fresh_job(c, self.keep) for c in part], lambda: False)
            kept += [c for c, seen in zip(part, answers) if seen and green(seen, self.failing, self.keep)]
            if len(kept) >= self.request["k"]:
                break
        return kept

    def report(self) -> None:
        result = self.session.result
        start = time.monotonic()
        said = telling(self.request.get("issue", ""))
        best = self.finalists(rank(self.plan.plausible, self.files, said))
        self.note("finalists", start)
        result["plausible"] = [c.to_json(self.files, i + 1) for i, c in enumerate(best[: self.request["k"]])]
        if result["status"] == "error":
            result["status"] = "ok"
        if not best:
            result["message"] = result["message"] or nothing(self.plan, self.tried, self.time_up)
        result["stats"] = {
            "tried": self.tried, "first_s": self.first_s, "number": self.plan.number, "statuses": self.statuses,
            "screened_s": self.screened_s, "per_s": self.tried / self.screened_s if self.screened_s > 0 else None,
            "limit_s": self.limit, "improved": len(self.improved), "lines": len(self.spectrum.scores),
            "spent": self.spent, "planned": self.plan.effort,
        }  # fmt: skip


def _body_line(chunk: Chunk) -> int:
    return chunk.line(chunk.function.body[0])  # type: ignore[attr-defined]
