"""Benchmark: anything that can be turned into repositories to work in and a command that judges.

An adapter reads local files into `TaskSource`s; everything else (the repository, the instance with its
sealed evaluation, the grading) is the same for all of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ...tools.errors import UsageError
from .instance import Instance
from .markers import END, START
from .sealed import Gold, SealedGold

Files = Mapping[str, str | bytes]
"""Path in the repository → contents."""


@dataclass(frozen=True, slots=True)
class TaskSource:
    """One task as an adapter reads it. `hidden` and `solution` never enter the repository."""

    id: str
    prompt: str
    files: Files
    """The repository that the solver sees."""
    hidden: Files
    """What the judge adds: tests, answers."""
    command: str
    """What judges, from the root of the repository: exit code 0 passes."""
    solution: Files = field(default_factory=dict[str, "str | bytes"])
    """Files of a known solution; empty when the benchmark ships none."""
    score: str | None = None
    """File, relative to the root, in which the command leaves a number, or {"score", "resolved", "notes"};
    None: passed is 1, failed 0."""
    image: str | None = None
    read_only: tuple[Path, ...] = ()
    """Host paths that the judge sees (never the solver)."""
    notes: tuple[str, ...] = ()
    """What a verdict does not say, for the report."""


class Benchmark(ABC):
    """A family of tasks. Local files only."""

    name: ClassVar[str]

    @abstractmethod
    def read(self, path: Path) -> list[TaskSource]:
        """The tasks below `path`. Raises: UsageError naming what is malformed."""

    def instances(self, path: Path, mirrors: Path) -> list[Instance]:
        """Instances of the tasks; their repositories are made below `mirrors` as `<name>+<id>`."""
        sources = self.read(path)
        if len({source.id for source in sources}) != len(sources):
            raise UsageError(f"{path} holds a task twice")
        return [self._instance(source, mirrors) for source in sources]

    def _instance(self, source: TaskSource, mirrors: Path) -> Instance:
        name = safe_name(source.id)
        repository = mirrors / f"{self.name}+{name}"
        base = make_repository(repository, source.files)
        gold = Gold(
            patch=difference(repository, source.solution),
            test_patch=difference(repository, source.hidden),
            fail_to_pass=("command",),
            eval_script=f": '{START}'\n{source.command}\n: '{END}'\n",
        )
        recipe = {
            "score": source.score,
            "read_only": [str(path) for path in source.read_only],
            "notes": list(source.notes),
        }
        return Instance(
            f"{self.name}__{name}",
            f"{self.name}/{name}",
            base,
            source.prompt,
            SealedGold(f"{self.name}__{name}", gold),
            benchmark=self.name,
            image=source.image,
            recipe=recipe,
            judge="command",
        )


def safe_name(text: str) -> str:
    """An id that is fit to be a file name (`HumanEval/3` → `HumanEval-3`)."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "task"


def make_repository(directory: Path, files: Files) -> str:
    """A repository with one commit, the same commit for the same files. Returns the commit."""
    if (directory / ".git").exists():
        return _git(directory, "rev-parse", "HEAD").strip()
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=_made(directory.parent)))
    _write(fresh, files)
    _git(fresh, "init", "-q", "-b", "main")
    _git(fresh, "add", "-A", "-f")
    _git(fresh, "commit", "-q", "--allow-empty", "-m", "task")
    fresh.chmod(0o755)
    fresh.replace(directory)
    return _git(directory, "rev-parse", "HEAD").strip()


def difference(repository: Path, files: Files) -> str:
    """The diff, in git's format, that puts `files` over the repository; "" for none."""
    if not files:
        return ""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "work"
        subprocess.run(
            ["git", "clone", "-q", "--shared", str(repository), str(work)], check=True, capture_output=True
        )
        _write(work, files)
        _git(work, "add", "-A", "-f")
        return _git(work, "diff", "--cached", "--binary", "--no-renames", "--full-index")


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write(directory: Path, files: Files) -> None:
    for name, content in files.items():
        target = (directory / name).resolve()
        if (
            not target.is_relative_to(directory.resolve())
            or ".git" in target.relative_to(directory.resolve()).parts
        ):
            raise UsageError(f"a task wants to write {name!r}, which is outside its repository")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def _git(directory: Path, *args: str) -> str:
    stamp = "2000-01-01T00:00:00Z"
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "task"), ("EMAIL", "task@localhost"), ("DATE", stamp))
    }
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", *args],
        cwd=directory,
        check=True,
        capture_output=True,
        env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
    )
    return done.stdout.decode("utf-8", "surrogateescape")
