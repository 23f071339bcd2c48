"""SourceTree: the files of one commit and their texts, read from a git directory on the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...git import git

_LARGEST = 2 << 20
"""Files of more bytes are data, whatever they are called."""


@dataclass(frozen=True)
class SourceTree:
    """A commit of a local repository. Nothing is checked out."""

    repository: Path
    commit: str

    @cached_property
    def blobs(self) -> dict[str, str]:
        """Path → blob id of every regular file. Raises: RepositoryError."""
        found: dict[str, str] = {}
        for entry in self.git("ls-tree", "-r", "-z", self.commit).split(b"\0"):
            head, _, path = entry.partition(b"\t")
            fields = head.split()
            if len(fields) == 3 and fields[1] == b"blob" and fields[0] != b"120000":
                found[path.decode("utf-8", "surrogateescape")] = fields[2].decode()
        return found

    def texts(self, blobs: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Blob id → text, for those that are text and not huge."""
        wanted = list(dict.fromkeys(blobs))
        if not wanted:
            return
        data = self.git("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in wanted))
        at = 0
        for blob in wanted:
            end = data.index(b"\n", at)
            header = data[at:end].split()
            at = end + 1
            if len(header) != 3:
                continue
            size = int(header[2])
            body = data[at : at + size]
            at += size + 1
            if size <= _LARGEST and b"\0" not in body:
                yield blob, body.decode("utf-8", "replace")

    def text(self, path: str) -> str | None:
        """One file's text; None: there is none."""
        blob = self.blobs.get(path)
        return next((text for _, text in self.texts([blob])), None) if blob else None

    def git(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0) -> bytes:
        """What git says. Raises: RepositoryError (GitTimeout among them)."""
        said = git(self.repository, *arguments, stdin=stdin, timeout=timeout)
        return said.encode("utf-8", "surrogateescape")
