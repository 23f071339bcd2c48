"""Location: a path that a model named, resolved inside the sandbox and held to the workspace."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from ..errors import SandboxError, ToolError
from ..sandbox import Sandbox

Kind = Literal["file", "directory", "special", "missing"]

# Kind, size, real root, real path: one field a line, the path last because it may hold line feeds.
# A missing path is resolved through its nearest ancestor that exists. `cd -P` asks for nothing but POSIX.
_PROBE = r"""
p=$1; rest=; tail=
if [ -L "$p" ] && [ ! -e "$p" ]; then kind=broken
elif [ -d "$p" ]; then kind=directory
elif [ -f "$p" ]; then kind=file
elif [ -e "$p" ]; then kind=special
else kind=missing
  while [ ! -e "$p" ] && [ ! -L "$p" ]; do
    rest="/$(basename -- "$p"; printf x)"; rest="${rest%?x}$tail"; tail=$rest
    p=$(dirname -- "$p"; printf x); p=${p%?x}
  done
  if [ ! -d "$p" ]; then kind=under; fi
fi
size=0; [ $kind = file ] && size=$(stat -L -c %s -- "$p" 2>/dev/null || wc -c <"$p")
real=$(readlink -f -- "$p"; printf x); real=${real%?x}
printf '%s\n%s\n%s\n%s%s' "$kind" "$size" "$(pwd -P)" "$real" "$rest"
"""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a path leads. `path` is as named, relative to the root; `real` is what it resolves to, also
    relative to the root, and differs only where links are in play."""

    path: str
    real: str
    kind: Kind
    size: int
    """Bytes; 0 for anything but a file."""


def relative_path(root: PurePosixPath, path: str) -> str:
    """`path` as a normal path relative to `root` ("." for the root itself).

    Raises: ToolError for a path that is empty, leads outside or into `.git`.
    """
    if not path.strip() or "\0" in path:
        raise ToolError("path is empty" if not path.strip() else "path holds a NUL character")
    if len(path) > 4096:
        raise ToolError(f"{path[:60]}… is too long for a path")
    clean = posixpath.normpath(posixpath.join(str(root), path.strip("\n")))
    if clean.startswith("//"):
        clean = clean[1:]
    base = posixpath.normpath(str(root))
    if clean != base and not clean.startswith(base.rstrip("/") + "/"):
        raise ToolError(f"{path} is outside the workspace; give a path relative to its root ({base})")
    relative = posixpath.relpath(clean, base)
    if ".git" in relative.lower().split("/"):
        raise ToolError(f"{path} belongs to git itself and is closed to tools; use diff to see changes")
    return relative


def locate(sandbox: Sandbox, path: str) -> Location:
    """Resolve `path` as the sandbox sees it.

    Raises: ToolError for a path outside the workspace, a link that leads outside or nowhere, a path
    below a file; SandboxError.
    """
    relative = relative_path(sandbox.root, path)
    done = sandbox.exec(["sh", "-c", _PROBE, "sh", f"./{relative}"], timeout=30)
    fields = done.output.split("\n", 3)
    if done.exit_code != 0 or len(fields) != 4:
        if "too long" in done.output.lower():
            raise ToolError(f"{path[:60]}… is too long for a path")
        raise SandboxError(f"cannot look up a path in the sandbox: {done.output.strip()[-300:]}")
    kind, size, root, real = fields
    if kind == "broken":
        raise ToolError(f"{relative} is a symbolic link to something that does not exist")
    if real != root and not real.startswith(root.rstrip("/") + "/"):
        raise ToolError(f"{relative} is a symbolic link that leads outside the workspace")
    inside = posixpath.relpath(real, root)
    if ".git" in inside.lower().split("/"):
        raise ToolError(f"{relative} leads into git's own files, which are closed to tools")
    if kind == "under":
        raise ToolError(f"{relative} cannot exist: what should be one of its directories is a file")
    if kind not in ("file", "directory", "special", "missing"):
        raise SandboxError(f"cannot look up a path in the sandbox: {done.output.strip()[-300:]}")
    return Location(relative, inside, kind, int(size or 0))
