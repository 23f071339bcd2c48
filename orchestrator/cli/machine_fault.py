"""machine_fault: a full disk, a folder that cannot be written, a program that is not there, in one line."""

from __future__ import annotations

import errno
import os
import re
import shutil

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


def machine_fault(error: OSError) -> str:
    """What happened, where, and what to do."""
    number, place = _number(error), error.filename2 or error.filename
    if isinstance(error, shutil.Error):  # of a tree that was copied: the last file, where it should have gone
        place = error.args[0][-1][1]
    words = os.strerror(number) if number is not None else str(error)
    if number == errno.ENOENT and isinstance(place, str) and "/" not in place:
        return f"the program {place} is not there: install it, or put it on PATH"
    where = f": {os.fsdecode(place)}" if isinstance(place, str | bytes) else ""
    return f"{words}{where}{_remedy(number)}"


def _number(error: OSError) -> int | None:
    """The errno; of a tree that was copied (shutil.Error), that of the last file."""
    if error.errno is not None:
        return error.errno
    found = re.findall(r"\[Errno (\d+)\]", str(error))
    return int(found[-1]) if found else None


def _remedy(number: int | None) -> str:
    if number in _FULL:
        return ": free some space and call it again"
    if number in _CLOSED:
        return ": name another folder (--output, XDG_STATE_HOME, XDG_CACHE_HOME)"
    return ""
