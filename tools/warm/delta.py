"""Delta: how a workspace's tree differs from its base commit, file by file."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import SandboxError
from ..workspace import Workspace

Delta = Mapping[str, tuple[str, str, int]]
"""Path → (blob id, git's status letter A, M or D, permission bits)."""

_INDEX = ".git/swe-agent-delta-index"
_GIT = "git -c core.quotepath=off -c core.fsmonitor=false -c core.hooksPath=/dev/null -c gc.auto=0"


def delta_of(workspace: Workspace) -> Delta | None:
    """The delta of everything that git does not ignore; None when it holds what a tree cannot be brought
    to by writing files (links, submodules) or names that are not text. Raises: SandboxError."""
    done = workspace.sandbox.exec(
        # The private index is kept: its cached times make the next look at an unchanged tree cheap.
        f"[ -f {_INDEX} ] || cp -f .git/index {_INDEX} 2>/dev/null; export GIT_INDEX_FILE={_INDEX}; "
        f"{_GIT} add -A . >/dev/null && {_GIT} diff-index --cached --raw -z --no-renames --abbrev=40 "
        f"{workspace.base_commit}",
        timeout=300,
    )
    if done.exit_code != 0 or done.truncated:
        why = "its output is too long" if done.truncated else done.output.strip()[-500:]
        raise SandboxError(f"git failed in the workspace: {why}")
    delta: dict[str, tuple[str, str, int]] = {}
    fields = done.output.split("\0")
    for head, path in zip(fields[0::2], fields[1::2], strict=False):
        words = head.lstrip(":").split(" ")
        if len(words) != 5 or "�" in path:
            return None
        old_mode, mode, _, blob, status = words
        if status not in ("A", "M", "D") or not {old_mode, mode} <= {"000000", "100644", "100755"}:
            return None
        delta[path] = (blob, status, int(mode[-3:], 8))
    return delta
