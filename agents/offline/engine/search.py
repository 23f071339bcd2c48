"""Search: single edits in order of suspiciousness times prior, then edits put together, then a beam of second edits.

The order is fixed before anything runs, so the ranking does not depend on the number of workers: a
candidate found later never overtakes one that stands before it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .candidate import Candidate, combined, ordered
from .chunk import SourceFile
from .edits import Edits
from .guard import Checkout
from .outcomes import LATE, green
from .plan import Numbered, Pace, Plan, keep_first, nothing, per_effort
from .pool import Pool
from .rank import rank, telling
from .spectrum import Spectrum

if TYPE_CHECKING:
    from .shapes import FreshJob, Job, JobAnswer, RepairRequest

_BATCHES = (60, 120, 250, 500, 1000, 2000)
"""Lines that are looked at together."""
_PER_LINE = 40
"""Candidates of a batch for each of its lines; those that stand further behind wait for the next batch."""
_BEAM = 12
_FINALISTS = 4
"""Times `k` patches are looked at where something says which is better."""
_ALSO_S = 10.0
"""Processor seconds of one such look; where it takes longer nobody looks."""
_LEADERS = 400
"""Candidates that change nothing for the better are seeds of second edits when they stand so near the front."""
_MOST_IDS = 300
"""Tests that an ordinary run is given by name; where there are more it is given their files."""
_MOST_AGAIN = 24
_LOOK_EVERY = 1.0


class Damaged(Exception):
    """The checkout was altered by a candidate."""


class Search:
    def __init__(
        self, session: Any, pool: Pool | None, spectrum: Spectrum, failing: Sequence[str], keep: Sequence[str],
        pace: Pace, pristine: Checkout,
    ) -> None:  # fmt: skip
        self.session = session
        self.request: RepairRequest = session.request
        self.files: dict[str, SourceFile] = session.files
        self.pool = pool
        self.spectrum = spectrum
        self.failing = list(failing)
        self.keep = list(keep)
        self.pace = pace
        self.fresh_limit = min(120.0, 3.0 + 3 * session.collect_s + 20 * pace.all_s)
        self.pristine = pristine
        effort, k, skip = self.request["effort"], self.request["k"], self.request.get("skip", 0)
        self.plan = Plan(effort, k, skip, pool is not None, per_effort(pace.events))
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
        self.left: list[Candidate] = []
        self.batches = 0
        self.statuses: dict[str, int] = {}
        self.spent: dict[str, float] = {"setup": time.monotonic() - session.started}
        spectrum.add_module_level(self.files)
        spectrum.follow_names(self.failing, self.files)
        spectrum.steer(self.request.get("hints", {}), self.files)
        if within := self.request.get("within"):
            spectrum.confine(within)
        self.edits = Edits(self.files, spectrum, self.request.get("hints", {}))

    @property
    def time_up(self) -> bool:
        return time.monotonic() >= self.session.deadline

    @property
    def over(self) -> bool:
        return self.plan.done or self.time_up

    def run(self) -> None:
        try:
            with self.plan.part():
                self.singles()
            if not self.plan.plausible and not self.time_up:
                self.retry_slow()
            if not self.plan.plausible and not self.over:
                self.screen(combined(self.seeds()))
            if not self.plan.plausible and not self.over:
                self.pairs()
            if not self.plan.plausible and not self.over:
                self.singles(again=True)
            self.run_fresh(self.plan.fresh_left)
            self.look()
        except Damaged:
            self.session.result["status"] = "damaged"

    def singles(self, again: bool = False) -> None:
        """Single edits, the best of so many lines first; `again`: those that were left the first time."""
        lines = self.spectrum.ranked()
        at = sum(_BATCHES[: self.batches]) if again else 0
        for size in _BATCHES[self.batches :]:
            part = lines[at : at + size]
            at += size
            if self.over or not (part or self.left):
                break
            self.batches += 1
            start = time.monotonic()
            self.left = ordered(self.left + self.edits.at_lines(part))
            self.note("generate", start)
            self.where = ", ".join(dict.fromkeys(path for path, _ in part[:20])) or self.where
            count = _PER_LINE * size if part else len(self.left)
            batch, self.left = self.left[:count], self.left[count:]
            self.left = [*batch[self.screen(batch) :], *self.left]
            start = time.monotonic()
            self.run_fresh(max(8, self.plan.fresh_left // 3))
            self.note("fresh", start)
        self.left = self.left[self.screen(self.left) :]

    def screen(self, candidates: Sequence[Candidate], again: bool = False) -> int:
        """Run candidates in the warm workers; sort them into plausible, improved, slow, to run fresh. `again`: with
        more time.

        Returns how many of them were taken before the search was over."""
        table: dict[int, Candidate] = {}
        first, limit = self.pace.first_limit, self.pace.limit
        if again:
            first = min(20.0, 10 * first)
            limit = max(first, limit)
        taken = 0

        def jobs() -> Iterator[Job]:
            nonlocal taken
            for candidate in candidates:
                if self.over:
                    return
                taken += 1
                number = self.plan.next()
                if number <= self.plan.skip:
                    continue
                if self.pool is None or candidate.fresh_only:
                    self.needs_fresh.append((number, candidate))
                    continue
                table[number] = candidate
                yield {**candidate.job(number, limit, first), "again": again}

        start = time.monotonic()
        if self.pool is None:
            for _ in jobs():
                pass
            return taken
        for job, answer in self.pool.map(jobs(), self.session.deadline):
            self.sort_in(job["id"], table.pop(job["id"]), answer, again)
        self.screened_s += time.monotonic() - start
        return taken

    def sort_in(self, number: int, candidate: Candidate, answer: JobAnswer, again: bool) -> None:
        """Where a warm worker's answer puts a candidate."""
        status, key = answer["status"], answer.get("key", str(number))
        self.tried += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        gained = answer.get("gained", 0)
        if status == "ok" and answer.get("passed"):
            self.confirm(number, candidate, key)
        elif status == "ok" and gained > 0:
            self.best = max(self.best, gained)
            keep_first(self.improved, key, number, candidate._replace(gained=gained - answer.get("lost", 0)))
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
        if self.session.judge_in_fork(candidate, min(30.0, 20 * self.pace.limit)):
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

    def fresh_job(
        self, candidate: Candidate, keep: Sequence[str], failing: Sequence[str] | None = None
    ) -> FreshJob:
        targets = [*(self.failing if failing is None else failing), *keep]
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
        slow, self.slow = sorted(self.slow, key=lambda pair: pair[0])[:_MOST_AGAIN], []
        self.screen([candidate for _, candidate in slow], again=True)

    def seeds(self) -> list[Candidate]:
        """Edits that turned something green, those that gained most first."""
        ranked = sorted(self.improved.values(), key=lambda pair: (-pair[1].gained, pair[0]))
        return [candidate for _, candidate in ranked]

    def pairs(self) -> None:
        """Second edits: on seeds that turned something green, then on the best single edits."""
        leaders = sorted(self.leaders.values(), key=lambda pair: pair[0])[:_BEAM]
        ranked = self.seeds() + [c for _, c in leaders]  # where nothing got better the order is all there is
        for round_ in range(4):
            seeds = ranked[round_ * _BEAM : (round_ + 1) * _BEAM]
            batch: list[Candidate] = []
            for seed in seeds:
                (base, text) = seed.texts[0]
                batch += self.edits.of(base, base.with_text(text), None, seed._replace(score=1.0))
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
        """The first k that also pass a fresh run of the tests as they are written, in order; those first that turn more
        green than they must."""
        if self.pool is None or self.request["k"] == 1 or self.session.result["status"] == "damaged":
            return ranked
        kept: list[Candidate] = []
        also = self.request.get("also", [])
        most = self.request["k"] * (_FINALISTS if also else 1)
        size = max(1, self.session.workers)
        for at in range(0, len(ranked), size):
            part = ranked[at : at + size]
            answers = self.session.fresh.run([self.fresh_job(c, self.keep) for c in part], lambda: False)
            kept += [c for c, seen in zip(part, answers) if seen and green(seen, self.failing, self.keep)]
            if len(kept) >= most:
                break
        return self.mending_most(kept, also) if also and len(kept) > 1 else kept

    def mending_most(self, kept: Sequence[Candidate], also: Sequence[str]) -> list[Candidate]:
        """Those first that turn more of `also` green: one fault fails many tests, and a patch for some is none for it."""
        limit = min(self.fresh_limit, _ALSO_S)
        jobs: list[FreshJob] = [{**self.fresh_job(candidate, also, ()), "limit": limit} for candidate in kept]
        answers = self.session.fresh.run(jobs[:1], lambda: False)
        if not answers[0] or LATE in answers[0]:
            return list(kept)
        answers += self.session.fresh.run(jobs[1:], lambda: self.time_up)
        more = [sum(green(seen, [test], []) for test in also) if seen else 0 for seen in answers]
        return [kept[at] for at in sorted(range(len(kept)), key=lambda at: (-more[at], at))]

    def report(self) -> None:
        result = self.session.result
        start = time.monotonic()
        issue = self.request.get("issue", "")
        best = self.finalists(rank(self.plan.plausible, self.files, telling(issue), issue))
        self.note("finalists", start)
        result["plausible"] = [c.to_json(self.files, i + 1) for i, c in enumerate(best[: self.request["k"]])]
        if result["status"] == "error":
            result["status"] = "ok"
        if not best:
            result["message"] = result["message"] or nothing(self.plan, self.tried, self.time_up, self.best)
        result["stats"] = {
            "tried": self.tried, "first_s": self.first_s, "number": self.plan.number, "statuses": self.statuses,
            "screened_s": self.screened_s, "per_s": self.tried / self.screened_s if self.screened_s > 0 else None,
            "limit_s": self.pace.limit, "improved": len(self.improved), "lines": len(self.spectrum.scores),
            "spent": self.spent, "planned": self.plan.effort,
        }  # fmt: skip
