"""Bytecode: compiled modules of the base commit, kept so that no run has to compile what another did."""

from __future__ import annotations

import shlex
import threading

from ..sandbox import Sandbox

MAX_BYTES = 256 << 20


class Bytecode:
    """An archive of one run's bytecode, unpacked into the private folder of every later run.

    It is filled from one run on the unmodified base commit only: bytecode that a candidate's tests wrote
    must never decide another verdict. A module that differs from the base is
    recompiled by Python itself, which compares the source's size and time.
    """

    def __init__(self) -> None:
        self._archive: bytes | None = None
        self._lock = threading.Lock()

    @property
    def filled(self) -> bool:
        return self._archive is not None

    def seed(self, sandbox: Sandbox, folder: str) -> None:
        """Unpack into `folder`, if there is anything."""
        if self._archive is not None:
            place = shlex.quote(str(sandbox.root / folder))
            sandbox.exec(f"mkdir -p {place} && tar -xf - -C {place}", stdin=self._archive)

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
            if len(archive) <= MAX_BYTES:
                self._archive = archive
