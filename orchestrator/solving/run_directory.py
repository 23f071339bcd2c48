"""RunDirectory: the files of one run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Self

from platformdirs import user_cache_path, user_state_path

from ...tools.errors import UsageError
from ...tools.files import hold, write_atomically

_LOCK = ".lock"


def runs_root() -> Path:
    """Where runs go without `--output`: $XDG_STATE_HOME/swe-agent/runs."""
    return user_state_path("swe-agent") / "runs"


def cache_root() -> Path:
    """Where environments are cached: $XDG_CACHE_HOME/swe-agent (SWE_AGENT_CACHE overrides)."""
    override = os.environ.get("SWE_AGENT_CACHE")
    return Path(override) if override else user_cache_path("swe-agent")


class RunDirectory:
    """`run.json`, `events.jsonl`, `patch.diff`, `candidates/`, `logs/`. Held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: Any = None

    @classmethod
    def new(cls, slug: str, output: Path | None = None) -> RunDirectory:
        """A fresh directory. Raises: UsageError when `output` already holds a run or anything else (a run
        that is removed takes its whole directory with it), or is not a directory."""
        if output is None:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            base = runs_root() / f"{stamp}-{slug}"
            path, n = base, 1
            while path.exists():
                n += 1
                path = base.with_name(f"{base.name}-{n}")
        else:
            path = output
        if (path / "events.jsonl").exists():
            raise UsageError(
                f"{path} already holds a run: name another --output, or continue it with --resume {path}"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(entry.name != _LOCK for entry in path.iterdir()):
                raise UsageError(f"{path} is not empty: name another --output")
        except OSError as error:
            raise UsageError(f"cannot create {path}: {error.strerror}; name another --output") from error
        run = cls(path)
        run.claim()
        return run

    @classmethod
    def existing(cls, name: str | Path) -> RunDirectory:
        """A run by path, by its name under the runs root, or `last`. Raises: UsageError."""
        path = Path(name)
        if str(name) == "last":
            runs = all_runs()
            if not runs:
                raise UsageError(f"there is no run yet under {runs_root()}")
            return runs[-1]
        if not (path / "run.json").exists() and (runs_root() / name / "run.json").exists():
            path = runs_root() / name
        if not (path / "run.json").exists():
            raise UsageError(f"{name} is not a run: see `swe-agent runs list`")
        return cls(path)

    def claim(self) -> Self:
        """Refuse a second process on the same run. Raises: UsageError."""
        self._lock = hold(self.lock)
        if self._lock is None:
            raise UsageError(f"another process is working on {self.path}: wait for it or stop it")
        return self

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def discard(self) -> None:
        """Remove a fresh directory in which no run began."""
        if not self.events.exists():
            shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that works on the run."""
        return self.path / _LOCK

    @property
    def patch(self) -> Path:
        return self.path / "patch.diff"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def repository(self) -> Path:
        """The prepared copy of the repository; kept until the run has finished."""
        return self.path / "work" / "repository"

    @property
    def scratch(self) -> Path:
        """Upper layers and sockets of this run's sandboxes."""
        return self.path / "work" / "scratch"

    @property
    def bytecode(self) -> Path:
        """Compiled modules of the base commit, for every sandbox of this process to read. Sandboxes see this path:
        it must not tell which run, or which instance of a benchmark, this is."""
        return cache_root() / "bytecode" / hashlib.sha256(str(self.path).encode()).hexdigest()[:20]

    def clear_work(self) -> None:
        """Remove what only a run that goes on needs."""
        work = self.path / "work"
        for path in (work / "repository", work / "scratch", self.bytecode, work / "ready"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def read(self) -> dict[str, Any]:
        """`run.json`, or an empty dict. Raises: UsageError when it is damaged."""
        file = self.path / "run.json"
        try:
            summary = json.loads(file.read_text("utf-8", "surrogateescape"))
            if not (isinstance(summary, dict) and isinstance(summary.get("request"), dict)):
                raise ValueError("it has no request")
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise UsageError(f"{file} is damaged ({error}): remove the run with `runs rm`") from error
        return summary

    def write(self, summary: dict[str, Any]) -> None:
        """Replace `run.json` atomically."""
        self.replace("run.json", json.dumps(summary, indent=2, ensure_ascii=False, default=str) + "\n")

    def read_patch(self) -> str:
        """`patch.diff`, "" when there is none; bytes that are not UTF-8 are lone surrogates."""
        try:
            return self.patch.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def replace(self, name: str, text: str) -> None:
        """Replace a file of the run atomically: a killed process leaves the old or the new one."""
        write_atomically(self.path / name, text)


def all_runs(root: Path | None = None) -> list[RunDirectory]:
    """Every run under the runs root, oldest first."""
    base = root or runs_root()
    return [RunDirectory(path.parent) for path in sorted(base.glob("*/run.json"))]
