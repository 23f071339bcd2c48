"""Benchmarks whose tasks are directories: a place to work in, a command, a score.

MLE-bench (`config.yaml`, `description.md`, `public/`, `private/`, `grade.py`), MLAgentBench (`env/`,
`scripts/research_problem.txt`, `scripts/eval.py`), Harbor (`task.toml`, `instruction.md`,
`environment/`, `tests/test.sh`, `solution/`).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import ClassVar

from ...tools.errors import UsageError
from .contract import Benchmark, TaskSource

_MAX_BYTES = 256 << 20
SCORE = ".score"
_MLE_JUDGE = """\
import importlib.util, pathlib, sys

sys.path.insert(0, ".judge")
spec = importlib.util.spec_from_file_location("grade", ".judge/grade.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
submission, answers = pathlib.Path("submission.csv"), sorted(pathlib.Path(".judge/private").glob("*.csv"))
if not submission.exists():
    sys.exit("submission.csv is missing")
try:
    import pandas

    score = module.grade(pandas.read_csv(submission), pandas.read_csv(answers[0]))
except ImportError:
    import csv

    score = module.grade(*([list(csv.DictReader(open(path))) for path in (submission, answers[0])]))
pathlib.Path(".score").write_text(repr(float(score)))
"""
_AGENT_JUDGE = """\
import importlib.util, pathlib

spec = importlib.util.spec_from_file_location("scoring", ".judge/eval.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
pathlib.Path(".score").write_text(repr(float(module.get_score("."))))
"""
_HARBOR_JUDGE = """\
root=$PWD; logs="$root/.judge/logs/verifier"; mkdir -p "$logs"
sed -e "s#/logs/verifier#$logs#g" -e "s#/tests/#$root/.judge/tests/#g" -e "s#/app\\b#$root#g" .judge/tests/test.sh > .judge/run.sh
bash .judge/run.sh; code=$?
if [ -f "$logs/reward.txt" ]; then cp "$logs/reward.txt" .score
elif [ -f "$logs/reward.json" ]; then python3 -c 'import json,sys;d=json.load(open(sys.argv[1]));print(d.get("reward",sum(d.values())/len(d)))' "$logs/reward.json" > .score
else exit "$code"; fi
python3 -c 'import sys; sys.exit(0 if float(open(".score").read()) > 0 else 1)'
"""


class DirectoryBenchmark(Benchmark):
    """Tasks are the directories that hold a marker file: `path` itself, or those below it."""

    marker: ClassVar[str]

    def read(self, path: Path) -> list[TaskSource]:
        homes = sorted(found.parents[len(Path(self.marker).parts) - 1] for found in path.rglob(self.marker))
        if not homes:
            raise UsageError(f"{path} holds no {self.name} task: no {self.marker} was found")
        return [self.task(home) for home in homes]

    def task(self, home: Path) -> TaskSource:
        raise NotImplementedError


class MLEBench(DirectoryBenchmark):
    name: ClassVar[str] = "mle-bench"
    marker: ClassVar[str] = "description.md"

    def task(self, home: Path) -> TaskSource:
        prompt = (
            _text(home / "description.md")
            + "\n\nThe data is in `public/`. Leave the answer in `submission.csv`."
        )
        files = {
            **_tree(home / "public", "public"),
            "description.md": _text(home / "description.md").encode(),
        }
        hidden = {
            **_tree(home / "private", ".judge/private"),
            ".judge/grade.py": _text(home / "grade.py").encode(),
            ".judge/judge.py": _MLE_JUDGE.encode(),
        }
        return TaskSource(
            home.name, prompt, files, hidden, "python3 .judge/judge.py", _tree(home / "solution", ""), SCORE
        )


class MLAgentBench(DirectoryBenchmark):
    name: ClassVar[str] = "mlagentbench"
    marker: ClassVar[str] = "scripts/research_problem.txt"

    def task(self, home: Path) -> TaskSource:
        hidden = {
            ".judge/eval.py": _text(home / "scripts/eval.py").encode(),
            ".judge/judge.py": _AGENT_JUDGE.encode(),
        }
        return TaskSource(
            home.name,
            _text(home / self.marker),
            _tree(home / "env", ""),
            hidden,
            "python3 .judge/judge.py",
            _tree(home / "solution", ""),
            SCORE,
        )


class Harbor(DirectoryBenchmark):
    name: ClassVar[str] = "harbor"
    marker: ClassVar[str] = "task.toml"

    def task(self, home: Path) -> TaskSource:
        try:
            settings = tomllib.loads(_text(home / "task.toml"))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{home / 'task.toml'} is not TOML: {error}") from error
        files = {
            name: data
            for name, data in _tree(home / "environment", "").items()
            if not Path(name).name.startswith(("Dockerfile", "docker-compose", ".dockerignore"))
        }
        hidden = {**_tree(home / "tests", ".judge/tests"), ".judge/judge.sh": _HARBOR_JUDGE.encode()}
        image = (settings.get("environment") or {}).get("docker_image")
        known = {name: data for name, data in _tree(home / "solution", "").items() if name != "solve.sh"}
        return TaskSource(
            home.name,
            _text(home / "instruction.md"),
            files,
            hidden,
            "bash .judge/judge.sh",
            known,
            SCORE,
            image,
        )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _tree(directory: Path, prefix: str) -> dict[str, str | bytes]:
    """Regular files below a directory, by path. Raises: UsageError when they are too large to be a
    repository."""
    found: dict[str, str | bytes] = {}
    size = 0
    for path in sorted(directory.rglob("*")) if directory.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            size += path.stat().st_size
            if size > _MAX_BYTES:
                raise UsageError(f"{directory} is larger than {_MAX_BYTES >> 20} MiB")
            found[str(Path(prefix) / path.relative_to(directory))] = path.read_bytes()
    return found
