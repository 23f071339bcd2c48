"""MLE-bench: competitions as its own package defines them, over data that `mlebench prepare` made.

The dataset is the data folder: `<competition>/prepared/{public,private}`. The package `mlebench` has the
description, the grader, the direction of the score and the leaderboard, and judges: resolved means a
medal, which is the benchmark's headline figure.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import ClassVar

from ...tools.errors import UsageError
from .contract import Benchmark, TaskSource
from .directories import SCORE, read_text, read_tree

_PROMPT = "{description}\n\nThe data is in `public/`. Leave the answer in `submission.csv`."
_JUDGE = """\
import json, pathlib, sys

sys.path.insert(0, {package!r})
from mlebench.grade import grade_csv
from mlebench.registry import registry

competition = registry.set_data_dir(pathlib.Path({data!r})).get_competition({name!r})
report = grade_csv(pathlib.Path("submission.csv"), competition).to_dict()
medal = next((kind for kind in ("gold", "silver", "bronze") if report[kind + "_medal"]), "no")
better = "lower" if report["is_lower_better"] else "higher"
notes = [f"{{medal}} medal", f"{{better}} is better", "above the median" if report["above_median"] else "not above the median"]
if not report["valid_submission"]:
    notes = ["the submission is missing" if not report["submission_exists"] else "the submission is invalid"]
score = {{"score": report["score"], "resolved": report["any_medal"], "notes": notes, "report": report}}
pathlib.Path(".score").write_text(json.dumps(score))
"""


class MLEBench(Benchmark):
    name: ClassVar[str] = "mle-bench"

    def read(self, path: Path) -> list[TaskSource]:
        package = _package()
        homes = sorted(found.parents[1] for found in path.glob("*/prepared/public")) or sorted(
            found.parents[1] for found in [path / "prepared/public"] if found.is_dir()
        )
        if not homes:
            raise UsageError(
                f"{path} holds no prepared competition (COMPETITION/prepared/public): "
                "run `mlebench prepare -c COMPETITION --data-dir DIR`, then pass DIR"
            )
        return [_task(home, package) for home in homes]


def _package() -> Path:
    found = importlib.util.find_spec("mlebench")
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            "MLE-bench is judged by its own package `mlebench` (graders, leaderboards, medals), which is not "
            "installed here: install it from its repository into this environment"
        )
    return Path(next(iter(found.submodule_search_locations))).resolve()


def _task(home: Path, package: Path) -> TaskSource:
    competition = package / "competitions" / home.name
    if not (competition / "config.yaml").is_file():
        raise UsageError(f"mlebench knows no competition {home.name!r} (of {home})")
    private = home / "prepared" / "private"
    if not private.is_dir():
        raise UsageError(f"{private} is missing: prepare the competition again")
    judge = _JUDGE.format(package=str(package.parent), data=str(home.parent.resolve()), name=home.name)
    gold = private / "gold_submission.csv"
    return TaskSource(
        home.name,
        _PROMPT.format(description=read_text(competition / "description.md")),
        read_tree(home / "prepared" / "public", "public"),
        {".judge/judge.py": judge.encode()},
        f"{sys.executable} .judge/judge.py",
        {"submission.csv": gold.read_bytes()} if gold.is_file() else {},
        SCORE,
        read_only=tuple(
            dict.fromkeys((Path(sys.prefix), Path(sys.base_prefix), package.parent, home.resolve()))
        ),
    )
