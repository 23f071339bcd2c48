"""Who acts in a trial: the oracle runs the task's solution, noop does nothing, a patch is put in place."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...benchmarks.harbor.schema import TaskStep
from ...benchmarks.harbor.task import HarborTask, resolved_env
from .box import Box
from .result import Act, TrialError


class TrialAgent(Protocol):
    """Acts once in each agent phase."""

    @property
    def name(self) -> str: ...

    def act(
        self,
        box: Box,
        task: HarborTask,
        step: TaskStep | None,
        *,
        timeout: float | None,
        user: str | int | None,
    ) -> Act | None:
        """Raises: TrialError when it cannot act by the benchmark's rules; SandboxError."""
        ...


@dataclass(frozen=True, slots=True)
class Noop:
    """Does nothing: what a task gives to nobody."""

    name: str = "nop"

    def act(
        self,
        box: Box,
        task: HarborTask,
        step: TaskStep | None,
        *,
        timeout: float | None,
        user: str | int | None,
    ) -> Act | None:
        return None


@dataclass(frozen=True, slots=True)
class Oracle:
    """Copies the solution to /solution and runs solve.sh."""

    name: str = "oracle"

    def act(
        self,
        box: Box,
        task: HarborTask,
        step: TaskStep | None,
        *,
        timeout: float | None,
        user: str | int | None,
    ) -> Act | None:
        folder = task.solution(step)
        if not (folder / "solve.sh").is_file():
            raise TrialError("FileNotFoundError", f"Solution script not found: {folder / 'solve.sh'}")
        box.put(folder, "/solution")
        box.exec("chmod +x /solution/solve.sh", cwd="/", user="root")
        command = "/solution/solve.sh > /logs/agent/oracle.txt 2>&1"
        env = {**resolved_env(task.config.solution.env), "DEBIAN_FRONTEND": "noninteractive"}
        done = box.exec(command, timeout=timeout, env=env, user=user)
        said = box.exec("tail -c 20000 /logs/agent/oracle.txt 2>/dev/null", cwd="/").output
        return Act(command, f"{said}\n(exit code {done.exit_code})", done.timed_out)


@dataclass(frozen=True, slots=True)
class PredictedPatch:
    """Puts a prediction's files in place; the patch is applied here, so the box needs no git."""

    patch: str
    repository: Path
    """The repository that the patch is a diff against: the working directory as the task makes it."""
    name: str = "patch"

    def act(
        self,
        box: Box,
        task: HarborTask,
        step: TaskStep | None,
        *,
        timeout: float | None,
        user: str | int | None,
    ) -> Act | None:
        with tempfile.TemporaryDirectory() as scratch:
            written, gone = self._changes(Path(scratch))
            box.put(written, box.workdir)
        for name in gone:
            box.exec(f"rm -f -- {shlex.quote(name)}")
        return Act("git apply", f"{len(gone)} files removed")

    def _changes(self, scratch: Path) -> tuple[Path, list[str]]:
        """A folder with the files that the patch leaves changed, and the names of those that it removes.
        Raises: TrialError when it does not apply."""
        work, changed = scratch / "work", scratch / "changed"
        changed.mkdir()
        clone = ["git", "clone", "-q", "--shared", str(self.repository), str(work)]
        subprocess.run(clone, check=True, capture_output=True)
        data = self.patch.encode("utf-8", "surrogateescape")
        tries = (["git", "apply", "--index", "-"], ["git", "apply", "--index", "--3way", "-"])
        done = (subprocess.run(command, cwd=work, input=data, capture_output=True) for command in tries)
        if not any(one.returncode == 0 for one in done):
            raise TrialError("PatchError", "the patch does not apply")
        command = ["git", "diff", "--cached", "--name-status", "--no-renames", "-z", "HEAD"]
        listing = subprocess.run(command, cwd=work, check=True, capture_output=True).stdout
        words = listing.decode("utf-8", "surrogateescape").split("\0")[:-1]
        gone: list[str] = []
        for status, name in zip(words[::2], words[1::2], strict=True):
            if status == "D":
                gone.append(name)
                continue
            if (work / name).is_symlink():
                raise TrialError("PatchError", f"the patch makes a link, {name}: links are not put in place")
            (changed / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(work / name, changed / name)
        return changed, gone
