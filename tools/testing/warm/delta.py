"""Delta: how a workspace's tree differs from its base commit, file by file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import SandboxError
from ...workspace import Workspace

State = Mapping[str, tuple[str, str, int]]
"""Path → (SHA-1 of the content, git's status letter A, M or D, permission bits)."""

# One process: `git status` compares the tree with the index and the index with HEAD. It does not write.
_STATUS = (
    "git", "--no-optional-locks", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-c",
    "core.hooksPath=/dev/null", "status", "--porcelain=v2", "--branch", "-z", "-uall", "--no-renames",
    "--ignore-submodules=none",
)  # fmt: skip
_MODES = {"000000", "100644", "100755"}


@dataclass(frozen=True, slots=True)
class Delta:
    """Everything that differs and that git does not ignore, with the contents now."""

    state: State
    contents: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def __bool__(self) -> bool:
        return bool(self.state)


def delta_of(workspace: Workspace) -> Delta | None:
    """None when the tree holds what another cannot be brought to by writing files (links, submodules),
    names that are not text, or when HEAD left the base commit. Raises: SandboxError."""
    done = workspace.sandbox.exec(_STATUS, timeout=300)
    if done.exit_code != 0 or done.truncated:
        why = "its output is too long" if done.truncated else done.output.strip()[-500:]
        raise SandboxError(f"git failed in the workspace: {why}")
    state: dict[str, tuple[str, str, int]] = {}
    contents: dict[str, bytes] = {}
    for entry in done.output.split("\0"):
        kind, _, rest = entry.partition(" ")
        if kind == "#" and rest.startswith("branch.oid "):
            if rest != f"branch.oid {workspace.base_commit}":
                return None
        elif kind == "1":
            # XY sub mH mI mW hH hI path (git-status(1), porcelain format version 2)
            words = rest.split(" ", 7)
            _, sub, head, _, tree, _, _, path = words
            if sub != "N..." or not {head, tree} <= _MODES or "�" in path:
                return None
            if head == tree == "000000":
                continue
            status = "D" if tree == "000000" else ("A" if head == "000000" else "M")
            _add(workspace, path, status, 0o755 if tree == "100755" else 0o644, state, contents)
        elif kind == "?":
            if rest.endswith("/") or "�" in rest or not _is_file(workspace, rest):
                return None
            _add(workspace, rest, "A", 0o644, state, contents)
        elif kind not in ("", "#"):
            return None
    return Delta(state, contents)


def untouched(workspace: Workspace) -> bool:
    """Whether the tree is the base commit's. Raises: SandboxError."""
    delta = delta_of(workspace)
    return delta is not None and not delta


def _is_file(workspace: Workspace, path: str) -> bool:
    """Whether an untracked path is a regular file that is not executable, the only kind told by content."""
    return workspace.sandbox.exec(["find", f"./{path}", "-type", "f", "!", "-perm", "/111"]).output != ""


def _add(
    workspace: Workspace,
    path: str,
    status: str,
    mode: int,
    state: dict[str, tuple[str, str, int]],
    contents: dict[str, bytes],
) -> None:
    data = b""
    if status != "D":
        data = contents[path] = workspace.sandbox.read_bytes(path)
    state[path] = (hashlib.sha1(data, usedforsecurity=False).hexdigest(), status, mode)
