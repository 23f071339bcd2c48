"""How often does the product's selection pick a resolving patch among candidates of known outcome?

    python bench/selection.py CANDIDATES.jsonl [--verifier FILE|URL|fit] [--csv FILE]

One JSON object a line: `instance`, `patch` (unified diff), `resolved` (bool), in the order they were made.
Optional, and used where present: `reproduction` {test: passed}, `generated` [test], `broken` [test],
`critic` (a number, or {mean, sd, k}), `root` (which independent trajectory it comes from; by default each
line is one). `resolved` is what the gold tests said; it only scores, after the choice has been made.

Policies: ours; ours with a trained verifier, where one is given (`fit`: one
that is trained on four fifths of the instances and asked about the others, for each fifth); random (the expected rate); first; majority (the change made most often, earliest first);
smallest diff; oracle (some candidate resolves: the ceiling). Differences to random are paired over instances.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import math
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from swe_agent.orchestrator.search.config import Weights
from swe_agent.orchestrator.search.node import Candidate, CriticScore, Measurement
from swe_agent.orchestrator.search.reward import reward
from swe_agent.orchestrator.search.selection import select
from swe_agent.orchestrator.verifiers.case import Case, Verifier
from swe_agent.orchestrator.verifiers.features import columns, features
from swe_agent.orchestrator.verifiers.fit import Example, fit
from swe_agent.orchestrator.verifiers.opening import open_verifier
from swe_agent.tools.errors import PatchError
from swe_agent.tools.patch import Patch

Row = Mapping[str, Any]


def evaluation_of(row: Row) -> Measurement:
    """What the line measured; whatever it does not say stays unmeasured."""
    critic = row.get("critic")
    if isinstance(critic, int | float):
        critic = {"mean": critic}
    broken = row.get("broken")
    patch = Patch(row["patch"])
    try:
        parses = bool(patch.parsed) or patch.is_empty
    except PatchError:
        parses = False
    return Measurement(
        parses=parses,
        reproduction=dict(row.get("reproduction") or {}),
        generated=frozenset(row.get("generated") or ()),
        broken=None if broken is None else tuple(broken),
        critic=CriticScore(critic["mean"], critic.get("sd"), critic.get("k", 1)) if critic else None,
    )


def candidates_of(rows: Sequence[Row]) -> list[Candidate]:
    """Distinct changes, as a search would have nominated them: a repeated one adds a vote."""
    found: dict[str, Candidate] = {}
    for order, row in enumerate(rows):
        patch = Patch(row["patch"])
        evaluation = evaluation_of(row)
        if patch.is_empty or not evaluation.parses:
            continue
        key, node, root = patch.normalised_hash(), f"n{order}", str(row.get("root", order))
        known = found.get(key)
        votes, voters = (known.votes, known.voters) if known else ((), ())
        first = known or Candidate(node, root, order, patch, key, evaluation, reward(evaluation, Weights()))
        voters = voters if root in voters else (*voters, root)
        found[key] = Candidate(
            first.node,
            first.root,
            first.order,
            first.patch,
            key,
            first.evaluation,
            first.reward,
            (*votes, node),
            voters,
        )
    return list(found.values())


def ours(candidates: Sequence[Candidate]) -> Candidate | None:
    return select(candidates).chosen


def first(candidates: Sequence[Candidate]) -> Candidate | None:
    return min(candidates, key=lambda c: c.order, default=None)


def majority(candidates: Sequence[Candidate]) -> Candidate | None:
    return min(candidates, key=lambda c: (-len(c.votes), c.order), default=None)


def smallest(candidates: Sequence[Candidate]) -> Candidate | None:
    return min(candidates, key=lambda c: (c.size, c.order), default=None)


POLICIES: dict[str, Callable[[Sequence[Candidate]], Candidate | None]] = {
    "ours": ours,
    "first": first,
    "majority": majority,
    "smallest diff": smallest,
}


ASSISTED = "ours, verifier"
FOLDS = 5


def with_verifier(candidates: Sequence[Candidate], verifier: Verifier) -> Candidate | None:
    """Ours, with what the verifier says of each candidate (the lines hold no issue to show it)."""

    async def seen() -> list[Candidate]:
        found: list[Candidate] = []
        for one in candidates:
            said = await verifier.score(Case("", one.patch, one.evaluation))
            found.append(replace(one, evaluation=replace(one.evaluation, verifier=said)))
        return found

    return select(asyncio.run(seen())).chosen


def fitted(instances: Mapping[str, Sequence[Row]]) -> dict[str, Verifier]:
    """Instance → a verifier that was trained without its fifth of the instances."""
    fold = {name: zlib.crc32(name.encode()) % FOLDS for name in instances}
    found: dict[int, Verifier] = {}
    for held in range(FOLDS):
        lines = [(name, row) for name, rows in instances.items() if fold[name] != held for row in rows]
        seen = [(name, row, Patch(row["patch"])) for name, row in lines]
        found[held] = fit(
            [
                Example(name, tuple(columns(features(evaluation_of(row), patch))), bool(row["resolved"]))
                for name, row, patch in seen
                if not patch.is_empty
            ],
            "fit",
        )
    return {name: found[place] for name, place in fold.items()}


def score(rows: Sequence[Row], verifier: Verifier | None = None) -> dict[str, float]:
    """Of one instance: 1 where the policy's patch resolves it. The gold outcome is read here alone."""
    blind = [{key: value for key, value in row.items() if key != "resolved"} for row in rows]
    candidates = candidates_of(blind)
    picks = {name: policy(candidates) for name, policy in POLICIES.items()}
    if verifier is not None:
        picks[ASSISTED] = with_verifier(candidates, verifier)
    gold = [bool(row["resolved"]) for row in rows]
    result = {name: float(gold[pick.order]) if pick else 0.0 for name, pick in picks.items()}
    return {**result, "random": fmean(gold), "oracle": float(any(gold))}


def read(path: Path) -> dict[str, list[Row]]:
    instances: dict[str, list[Row]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            instances.setdefault(row["instance"], []).append(row)
            row["patch"], row["resolved"]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(
                f"{path}: line {number} has no instance, patch and resolved ({error!r})"
            ) from error
    return instances


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--verifier", metavar="FILE|URL|fit", help="of `train verifier`, a reward model, or fitted here"
    )
    parser.add_argument("--csv", type=Path, help="also write one line per instance")
    args = parser.parse_args(argv)
    if not args.file.is_file():
        parser.error(f"{args.file} is not a file")
    instances = read(args.file)
    if not instances:
        parser.error(f"{args.file} holds no candidates")
    verifiers: dict[str, Verifier] = {}
    if args.verifier:
        given = None if args.verifier == "fit" else open_verifier(args.verifier)
        verifiers = fitted(instances) if given is None else dict.fromkeys(instances, given)
    scores = {name: score(rows, verifiers.get(name)) for name, rows in instances.items()}
    assisted = [ASSISTED] if verifiers else []
    names = ["random", *(name for name in POLICIES if name != "ours"), "ours", *assisted, "oracle"]
    count = sum(len(rows) for rows in instances.values())
    contested = sum(0 < s["random"] < 1 for s in scores.values())
    print(f"{len(scores)} instances, {count} candidates, {contested} instances where the choice matters\n")
    print(f"{'policy':14}{'resolved':>10}{'- random':>10}{'± se':>8}")
    for name in names:
        gains = [s[name] - s["random"] for s in scores.values()]
        error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
        print(f"{name:14}{fmean(s[name] for s in scores.values()):10.1%}{fmean(gains):+10.1%}{error:8.1%}")
    if args.csv:
        with args.csv.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["instance", *names])
            out.writerows([name, *(f"{s[policy]:.4f}" for policy in names)] for name, s in scores.items())
    return 0


if __name__ == "__main__":
    sys.exit(main())
