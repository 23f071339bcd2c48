"""Benchmarks whose tasks are directories: a place to work in, a command, a score.

MLAgentBench: `env/`, `scripts/research_problem.txt`, `scripts/eval.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ...tools.errors import UsageError
from ...tools.files import reason_of
from .contract import Benchmark, TaskSource

_MAX_BYTES = 256 << 20
SCORE = ".score"
_AGENT_JUDGE = """\
import importlib.util, pathlib, sys

sys.path.insert(0, ".judge")

spec = importlib.util.spec_from_file_location("scoring", ".judge/eval.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
pathlib.Path(".score").write_text(repr(float(module.get_score("."))))
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


class MLAgentBench(DirectoryBenchmark):
    name: ClassVar[str] = "mlagentbench"
    marker: ClassVar[str] = "scripts/research_problem.txt"

    def task(self, home: Path) -> TaskSource:
        scripts = home / "scripts"
        if (scripts / "prepare.py").exists() and not (scripts / "prepared").exists():
            raise UsageError(
                f"{home} is not prepared: run {scripts / 'prepare.py'} first, then make {scripts}/prepared"
            )
        read_text(scripts / "eval.py")
        hidden = {**read_tree(scripts, ".judge"), ".judge/judge.py": _AGENT_JUDGE.encode()}
        return TaskSource(
            home.name,
            read_text(home / self.marker),
            read_tree(home / "env", ""),
            hidden,
            "python3 .judge/judge.py",
            read_tree(home / "solution", ""),
            SCORE,
            notes=("MLAgentBench has no pass mark: resolved says that a score was computed",),
        )


def read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error


def read_tree(directory: Path, prefix: str) -> dict[str, str | bytes]:
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
