"""Success of the search at equal budget, on simulated landscapes and on real bugs.

    python bench/search.py --tasks 300                    # table, docs/search.csv, docs/search.svg
    python bench/search.py --humanevalfix FILE.jsonl      # offline/repair policies, candidates executed

One expansion is one turn; a rollout from a prefix costs the turns after it. Success means that the patch
the product's own selection would submit at that point is correct. Exits 0 when on every landscape the tree
is not significantly worse than best-of-n at any budget (paired difference below -1.96 standard errors) and
on at least three it is significantly better at some budget and at the largest one.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import math
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from landscapes import LANDSCAPES, Landscape, Task, correct
from plot import panels

from swe_agent.orchestrator.record.event import Event
from swe_agent.orchestrator.search.config import SearchConfig
from swe_agent.orchestrator.search.cost import Cost
from swe_agent.orchestrator.search.search import search
from swe_agent.orchestrator.search.selection import select
from swe_agent.orchestrator.search.state import State

BUDGETS = (20, 40, 80, 160)
POLICIES = ("linear", "best-of-n", "tree")
SIGNIFICANT = 1.96


class NoLog:
    """The simulation keeps no record."""

    def append(self, event: Event) -> int:
        return 0

    def recall(self, kind: type[Event], *name: Any) -> None:
        return None


def curve(task: Task, kind: str, config: SearchConfig) -> list[tuple[int, bool]]:
    """(turns spent, whether the patch selected now is correct) after each rollout."""
    points: list[tuple[int, bool]] = []

    def note(state: State) -> None:
        finish = state.finishes[-1]
        if finish.duplicate_of is None and finish.rollout.patch is None and points:
            right = points[-1][1]
        else:
            chosen = select(list(state.candidates.values())).chosen
            right = chosen is not None and correct(chosen.normalised_hash)
        points.append((int(state.spent.turns or 0), right))

    asyncio.run(search(task.expand, config, NoLog(), progress=note))
    return points


def configured(kind: str, overrides: dict[str, Any]) -> SearchConfig:
    limits = Cost(turns=max(BUDGETS))
    return SearchConfig(kind=kind, samples=1000, limits=limits, holdback=0.0, early_stop=False, **overrides)  # pyright: ignore[reportArgumentType]


def run(job: tuple[Landscape, int, int, dict[str, Any]]) -> dict[str, list[bool]]:
    """Success of each policy at every budget from 1 to the largest, for one task."""
    land, number, seed, overrides = job
    task = Task(land, number, seed)
    result: dict[str, list[bool]] = {}
    for kind in POLICIES:
        points = curve(task, kind, configured(kind, overrides))
        line, at = [], -1
        for budget in range(1, max(BUDGETS) + 1):
            while at + 1 < len(points) and points[at + 1][0] <= budget:
                at += 1
            line.append(at >= 0 and points[at][1])
        result[kind] = line
    return result


@dataclass(frozen=True, slots=True)
class Row:
    landscape: str
    success: dict[str, list[float]]
    """Policy → success rate at each of BUDGETS."""
    gain: list[tuple[float, float]]
    """Tree minus best-of-n at each of BUDGETS, paired: mean and standard error."""
    lines: dict[str, list[float]]
    """Policy → success rate at every budget from 1."""
    to_match: int | None
    """Expansions after which the tree stays at or above best-of-n's rate at the largest budget."""


def summarise(name: str, tasks: Sequence[dict[str, list[bool]]]) -> Row:
    lines = {kind: [fmean(task[kind][i] for task in tasks) for i in range(max(BUDGETS))] for kind in POLICIES}
    gain = []
    for budget in BUDGETS:
        paired = [task["tree"][budget - 1] - task["best-of-n"][budget - 1] for task in tasks]
        gain.append((fmean(paired), stdev(paired) / math.sqrt(len(paired)) if len(paired) > 1 else 0.0))
    target = lines["best-of-n"][-1]
    match = next((b for b in range(1, max(BUDGETS) + 1) if lines["tree"][b - 1] >= target - 1e-12), None)
    return Row(name, {k: [line[b - 1] for b in BUDGETS] for k, line in lines.items()}, gain, lines, match)


def goal(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Landscapes where the tree is significantly worse at some budget; where better at the largest."""
    worse = [row.landscape for row in rows if any(mean < -SIGNIFICANT * se for mean, se in row.gain)]
    better = [row.landscape for row in rows if row.gain[-1][0] > SIGNIFICANT * row.gain[-1][1]]
    return worse, better


def table(rows: Sequence[Row]) -> str:
    head = (
        f"{'landscape':14} {'policy':10}"
        + "".join(f"{b:>8}" for b in BUDGETS)
        + "   to match best-of-n at 160"
    )
    out = [head, "-" * len(head)]
    for row in rows:
        for kind in POLICIES:
            match = f"{row.to_match or '-':>10}" if kind == "tree" else ""
            cells = "".join(f"{value:8.1%}" for value in row.success[kind])
            out.append(f"{row.landscape if kind == 'linear' else '':14} {kind:10}{cells}{match}")
        cells = "".join(f"{100 * mean:+8.1f}" for mean, _ in row.gain)
        errors = "".join(f"{'±' + format(100 * se, '.1f'):>8}" for _, se in row.gain)
        out += [f"{'':14} {'tree-best':10}{cells}", f"{'':14} {'':10}{errors}"]
    return "\n".join(out)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["landscape", "expansions", *POLICIES, "tree_minus_best_of_n", "standard_error"])
        for row in rows:
            for i, budget in enumerate(BUDGETS):
                rates = [f"{row.success[kind][i]:.4f}" for kind in POLICIES]
                mean, se = row.gain[i]
                out.writerow([row.landscape, budget, *rates, f"{mean:.4f}", f"{se:.4f}"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=300, help="tasks per landscape")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--landscape", action="append", help="only this one (repeatable)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a SearchConfig number"
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of search.csv and search.svg")
    parser.add_argument("--humanevalfix", type=Path, metavar="FILE", help="JSON lines: real bugs instead")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds per real bug and policy")
    parser.add_argument("--sandbox", default="auto")
    args = parser.parse_args(argv)
    if args.humanevalfix:
        from repair_policies import run as run_repairs

        return run_repairs(args)
    overrides = {name: float(v) if "." in v else int(v) for name, v in (item.split("=") for item in args.set)}
    lands = [land for land in LANDSCAPES if not args.landscape or land.name in args.landscape]
    started = time.perf_counter()
    rows = []
    with ProcessPoolExecutor(args.processes) as pool:
        for land in lands:
            jobs = [(land, number, args.seed, overrides) for number in range(args.tasks)]
            rows.append(summarise(land.name, list(pool.map(run, jobs, chunksize=10))))
    print(table(rows))
    args.out.mkdir(parents=True, exist_ok=True)
    write_csv(rows, args.out / "search.csv")
    title = "Success of the selected patch against turns spent"
    lines = {row.landscape: row.lines for row in rows}
    (args.out / "search.svg").write_text(panels(title, "turns", lines), encoding="utf-8")
    worse, better = goal(rows)
    print(f"\n{args.tasks} tasks a landscape, seed {args.seed}, {time.perf_counter() - started:.0f} s")
    print(f"significantly better at {max(BUDGETS)}: {', '.join(better) or 'none'}")
    print(f"significantly worse at some budget: {', '.join(worse) or 'none'}")
    return 0 if not worse and len(better) >= 3 else 1


if __name__ == "__main__":
    sys.exit(main())
