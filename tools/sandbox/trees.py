"""Trees: copying a directory and removing one, whatever modes are in it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from ..errors import SandboxError


def copy_tree(source: Path, target: Path, *, keep_owner: bool = True) -> None:
    """Copy `source` to `target` (which must not exist), sharing blocks where the file system can.

    Without `keep_owner` the copies belong to this process's user and group.

    Raises: SandboxError with cp's own words (disk full, unreadable file).
    """
    options = ["-a", "--reflink=auto", "--no-target-directory"]
    if not keep_owner:
        options.append("--no-preserve=ownership")
    done = subprocess.run(
        ["cp", *options, "--", source, target],
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        remove_tree(target)
        raise SandboxError(f"cannot copy {source} to {target}: {done.stderr.strip()[-400:]}")


def remove_tree(path: Path) -> None:
    """Remove a directory tree and never raise: what a sandbox left behind may hold directories
    without permissions (overlay work directories have mode 000) and paths longer than PATH_MAX."""
    try:
        shutil.rmtree(path)
        return
    except FileNotFoundError:
        return
    except PermissionError:
        _open_up(path)
        try:
            shutil.rmtree(path)
            return
        except (OSError, RecursionError):
            pass
    except (OSError, RecursionError):
        pass
    subprocess.run(["chmod", "-R", "u+rwx", "--", path], capture_output=True)
    subprocess.run(["rm", "-rf", "--", path], capture_output=True)


def _open_up(path: Path) -> None:
    """Give the owner access to every directory that can be reached by an ordinary path."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            return
        if mode & 0o700 != 0o700:
            path.chmod(0o700)
        pending = [str(path)]
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.stat(follow_symlinks=False).st_mode & 0o700 != 0o700:
                            os.chmod(entry.path, 0o700)  # noqa: PTH101 - entry.path is a string already
                        pending.append(entry.path)
    except OSError:
        return
