"""Bytecode: compiled modules of the base commit, kept so that no run has to compile what another did."""

from __future__ import annotations

import io
import shlex
import tarfile
import threading
from pathlib import Path, PurePosixPath

from ...sandbox import Sandbox

MAX_BYTES = 256 << 20
_SHARING = "namespace"
"""The kind of sandbox in which a folder of the host can be read at its own path, and not written."""


class Bytecode:
    """One run's bytecode, for every later run to read.

    It is filled from one run on the unmodified base commit only: bytecode that a candidate's tests wrote
    must never decide another verdict. A module that differs from the base is
    recompiled by Python itself, which compares the source's size and time.
    """

    def __init__(self, shared: Path | None = None) -> None:
        """`shared` is an empty folder of the host that sandboxes see read-only: runs then read it where it
        lies. Without it, and in other kinds of sandbox, each run unpacks its own copy."""
        self._shared = shared
        self._archive: bytes | None = None
        self._lock = threading.Lock()

    @property
    def filled(self) -> bool:
        return self._archive is not None

    def seed(self, sandbox: Sandbox, folder: str) -> str | None:
        """Make what is kept available to a run with its files in `folder` (relative to the root). Returns the
        folder to read from besides its own, None when there is none."""
        if self._archive is None:
            return None
        if self._shared is not None and sandbox.kind == _SHARING:
            return str(self._shared)
        place = shlex.quote(str(sandbox.root / folder))
        sandbox.exec(f"mkdir -p {place} && tar -xf - -C {place}", stdin=self._archive)
        return None

    def keep(self, sandbox: Sandbox, folder: str) -> None:
        """Take what a run on the base commit left in `folder`, once."""
        with self._lock:
            if self._archive is not None:
                return
            packed = f"{folder}/pycache.tar"
            done = sandbox.exec(
                ["tar", "-cf", str(sandbox.root / packed), "-C", str(sandbox.root / folder), "pycache"]
            )
            if done.exit_code != 0:
                return
            archive = sandbox.read_bytes(packed, max_bytes=MAX_BYTES + 1)
            if len(archive) > MAX_BYTES:
                return
            if self._shared is not None:
                unpack(archive, self._shared)
            self._archive = archive


def unpack(archive: bytes, folder: Path) -> None:
    """Write the compiled modules below `pycache/` in a tar archive to `folder`. The archive comes out of a
    sandbox: only plain files with plain names are taken from it, and nothing is decompressed."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                _take(tar, member, folder)
    except tarfile.TarError:
        return  # no archive, or one that ends early: what it lacks is compiled again


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    parts = PurePosixPath(member.name).parts
    if not member.isfile() or member.issparse() or not member.name.endswith(".pyc"):
        return
    if parts[:1] != ("pycache",) or ".." in parts or (data := tar.extractfile(member)) is None:
        return
    target = folder.joinpath(*parts[1:])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.read())
    except OSError:
        return  # a name that no file can have, or that a folder has
