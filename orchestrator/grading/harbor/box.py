"""Box: where a Harbor trial runs. What goes in and comes out goes as tar archives, opened inside."""

from __future__ import annotations

import io
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_LARGEST = 2 << 30


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did; `output` is stdout and stderr merged."""

    exit_code: int
    output: str
    timed_out: bool = False


class Box(ABC):
    """One environment of a trial: the agent's, or a separate verifier's."""

    workdir: str
    notes: tuple[str, ...] = ()
    """What differs from the environment that the task describes."""

    @abstractmethod
    def exec(
        self,
        command: str,
        *,
        timeout: float | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | int | None = None,
    ) -> Done:
        """Run `command` with bash (else sh). Raises: SandboxError when the box itself is gone."""

    @abstractmethod
    def network(self, allowed: bool) -> None:
        """Let commands reach the network from now on, or not. Raises: SandboxError."""

    @abstractmethod
    def put_archive(self, archive: bytes, target: str) -> None:
        """Unpack a tar archive into the directory `target`, which is made. Raises: SandboxError."""

    @abstractmethod
    def get_archive(self, path: str) -> bytes | None:
        """A tar archive with `path` (its last part is the top entry); None when it is not there."""

    @abstractmethod
    def close(self) -> None:
        """End everything inside. Idempotent."""

    def put(self, source: Path, target: str) -> None:
        """Copy the contents of the directory `source` over `target`."""
        self.put_archive(pack(source), target)

    def put_files(self, files: Mapping[str, bytes], target: str) -> None:
        """Write files, by path below `target`."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, data in files.items():
                _add(archive, name, data, 0o644)
        self.put_archive(buffer.getvalue(), target)

    def get(self, path: str, destination: Path, *, exclude: tuple[str, ...] = ()) -> bool:
        """Copy a file or directory to `destination` itself. False when there is none."""
        data = self.get_archive(path)
        if data is None:
            return False
        unpack(data, PurePosixPath(path).name, destination, exclude)
        return True

    def empty(self, *paths: str) -> None:
        """Make directories, empty and writable for everybody."""
        for path in paths:
            self.exec(
                f"mkdir -p {path} && find {path} -mindepth 1 -delete; chmod 777 {path}", cwd="/", timeout=60
            )


def pack(source: Path) -> bytes:
    """A tar archive of the regular files below a directory; scripts keep their mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file() and not path.is_symlink():
                mode = 0o755 if path.stat().st_mode & 0o100 or path.suffix == ".sh" else 0o644
                _add(archive, str(path.relative_to(source)), path.read_bytes(), mode)
    return buffer.getvalue()


def unpack(data: bytes, top: str, destination: Path, exclude: tuple[str, ...]) -> None:
    """Unpack what a box sent. Links and special files are left out: they are the box's, not the host's."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            inner = PurePosixPath(member.name)
            if not inner.parts or inner.parts[0] != top or ".." in inner.parts:
                continue
            relative = PurePosixPath(*inner.parts[1:])
            if any(relative.match(pattern) or part_matches(relative, pattern) for pattern in exclude):
                continue
            target = destination.joinpath(*relative.parts)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isreg() and member.size <= _LARGEST and (stream := archive.extractfile(member)):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(stream.read())


def part_matches(path: PurePosixPath, pattern: str) -> bool:
    """Whether a parent of `path` matches, as tar's --exclude does."""
    return any(parent.match(pattern) for parent in path.parents if parent.parts)


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))
