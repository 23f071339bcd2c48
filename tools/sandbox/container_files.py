"""Reading and writing single files through a container's shell: the scripts, and what their exit codes mean."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import PurePosixPath

from .container_shell import ShellResult, literal

_ERRNOS = {errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.ENOSPC}


def read_script(target: PurePosixPath, max_bytes: int | None) -> str:
    """Shell code that writes the file to standard output."""
    word = shlex.quote(str(target))
    read = f"exec cat {word}" if max_bytes is None else f"exec head -c {max_bytes} {word}"
    return f"{_check_file(word, errno.ENOENT)}[ -r {word} ] || exit {errno.EACCES}; {read}"


def write_script(target: PurePosixPath, data: bytes, held: str | None) -> str:
    """Shell code that replaces the file by `data`; large data is in the file `held` of the container."""
    word, parent = shlex.quote(str(target)), shlex.quote(str(target.parent))
    parents = (
        f"[ -d {parent} ] || mkdir -p {parent} || "
        f"{{ [ -e {parent} ] && exit {errno.ENOTDIR}; exit {errno.EACCES}; }}; "
    )
    if held is None:
        write = f"{literal(data)} > {word} || exit {errno.EACCES}"
    else:
        write = f"cat {held} > {word}; s=$?; rm -f {held}; [ $s = 0 ] || exit {errno.ENOSPC}"
    return f"{_check_file(word, 0)}{parents}{write}"


def raise_errno(done: ShellResult, target: PurePosixPath) -> None:
    """Raises: OSError when the script failed."""
    if done.exit_code or done.stopped:
        number = done.exit_code if done.exit_code in _ERRNOS else errno.EIO
        raise OSError(number, os.strerror(number), str(target))


def _check_file(word: str, missing: int) -> str:
    """Shell code that exits with an errno unless `word` is a regular file (or absent, when that is fine)."""
    absent = f"exit {missing}" if missing else ":"
    return (
        f"if [ -d {word} ]; then exit {errno.EISDIR}; elif [ -f {word} ]; then :; "
        f"elif [ -e {word} ]; then exit {errno.EACCES}; else {absent}; fi; "
    )
