"""Identity: the host user a namespace sandbox runs as, and whose files it may write."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SANDBOX_ID = 64123
"""From the range that systemd gives to dynamic users: nobody logs in as it and it owns no files."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`uid` is the id root steps down to, so that root inside is not root outside; None: stay who we are."""

    uid: int | None

    @classmethod
    def current(cls) -> Identity:
        if os.geteuid() == 0 and _is_mapped("uid") and _is_mapped("gid"):
            return cls(_SANDBOX_ID)
        return cls(None)

    def owners_to_map(self, paths: list[Path]) -> list[tuple[int, int]]:
        """Owners of `paths` that have to be shown as this identity (root only; needs mapped mounts)."""
        if self.uid is None:
            return []
        owners = {(status.st_uid, status.st_gid) for status in (path.stat() for path in paths)}
        return sorted(owners - {(self.uid, self.uid)})

    def can_copy_up(self, source: Path) -> bool:
        """Whether every file of `source` belongs to one owner that this identity is or can be mapped to.

        Overlay copies a file before the first write and keeps its owner; an owner without a name in the
        sandbox makes that fail (EOVERFLOW), so such trees are copied instead.
        """
        source = source.resolve()
        status = source.stat()
        if self.uid is None and (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            return False
        owner = ["-uid", str(status.st_uid), "-gid", str(status.st_gid)]
        search = ["find", source, "-not", "(", *owner, ")", "-print", "-quit"]
        try:
            found = subprocess.run(search, capture_output=True)
        except OSError:
            return False  # no find(1): a copy is right for every tree
        return found.returncode == 0 and not found.stdout


def _is_mapped(kind: str) -> bool:
    """Whether `_SANDBOX_ID` exists in this process's user namespace."""
    try:
        lines = Path(f"/proc/self/{kind}_map").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in lines)]
    return any(first <= _SANDBOX_ID < first + count for first, count in ranges)
