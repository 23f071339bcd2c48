"""Tar streams for the daemon's archive interface."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO


def tree_archive(source: Path, root: PurePosixPath, uid: int, gid: int, home: str) -> IO[bytes]:
    """`source` as it is to appear at `root`, owned by `uid:gid`, and an empty home; ready to be read."""
    archive = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        directory = tarfile.TarInfo(home.lstrip("/"))
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(_owned(uid, gid)(directory))
        tar.add(source, str(root).lstrip("/"), filter=_owned(uid, gid))
    archive.seek(0)
    return archive


def git_archive(source: Path, root: PurePosixPath, uid: int, gid: int) -> IO[bytes]:
    """Every `.git` of the prepared repository `source` (its own, those of submodules) below `root`."""
    archive = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder, folders, _ in os.walk(source):
            if ".git" in folders:
                folders.remove(".git")
                place = root / Path(folder).relative_to(source) / ".git"
                tar.add(Path(folder, ".git"), str(place).lstrip("/"), filter=_owned(uid, gid))
    archive.seek(0)
    return archive


def _owned(uid: int, gid: int) -> Callable[[tarfile.TarInfo], tarfile.TarInfo]:
    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid = uid, gid
        member.uname = member.gname = ""
        return member

    return owned


def file_archive(name: str, data: bytes, uid: int, gid: int) -> bytes:
    """One file with `data`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.uid, member.gid = len(data), 0o644, uid, gid
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def first_owner(chunks: Iterable[bytes]) -> tuple[int, int]:
    """Owner of the first entry of a tar stream given in chunks; the rest is not read."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4096:
            break
    with tarfile.open(fileobj=io.BytesIO(head + bytes(1024)), mode="r|") as tar:
        member = tar.next()
    return (member.uid, member.gid) if member is not None else (0, 0)


def read_member(chunks: Iterable[bytes]) -> bytes:
    """Contents of the only file of a tar stream given in chunks."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        member = tar.next()
        file = tar.extractfile(member) if member is not None else None
        return file.read() if file is not None else b""
