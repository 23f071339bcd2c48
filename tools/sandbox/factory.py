"""open_sandbox: the dotted-name table above the implementations."""

from __future__ import annotations

import errno
from importlib import import_module
from pathlib import Path
from typing import Literal

from ..errors import SandboxError, UsageError
from .base import Sandbox, SandboxSpec
from .space import disk_is_full

SandboxKind = Literal["auto", "namespace", "docker", "plain"]

_FAULTS = frozenset(
    (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EROFS, errno.EDQUOT, errno.EAGAIN)
)
"""Faults that pass or can be mended: they say nothing about whether this machine can have walls."""
_TABLE = {
    "namespace": ("namespace", "NamespaceSandbox"),
    "docker": ("docker", "DockerSandbox"),
    "plain": ("plain", "PlainSandbox"),
}


def open_sandbox(kind: str, spec: SandboxSpec) -> Sandbox:
    """Open a sandbox of `kind`; `auto` takes docker when an image is named, else namespace, and plain only where
    the kernel or its permissions allow no walls: a fault of the machine (a full disk, no memory) is an error.

    Raises: UsageError for an unknown kind; SandboxError when the kind cannot run here, saying what is
    missing and what to do.
    """
    if kind == "auto":
        if spec.image is not None:
            return open_sandbox("docker", spec)
        try:
            return open_sandbox("namespace", spec)
        except SandboxError as error:
            if not _no_walls_here(error, spec):
                raise
            return open_sandbox("plain", spec)
    if kind not in _TABLE:
        raise UsageError(f"unknown sandbox {kind!r}: use auto, namespace, docker or plain")
    if spec.mounts and kind != "namespace":
        raise SandboxError(f"the {kind} sandbox shows no host directory at another path: use namespace")
    module, name = _TABLE[kind]
    return getattr(import_module(f".{module}", __package__), name)(spec)


def why_no_walls(scratch: Path) -> str | None:
    """Why `auto` would take plain here, tried with a folder to write in; None where there are walls, or a fault of
    the machine that says nothing about them."""
    source = scratch / "source"
    source.mkdir()
    spec = SandboxSpec(source, scratch / "scratch")
    try:
        open_sandbox("namespace", spec).close()
    except SandboxError as error:
        return str(error) if _no_walls_here(error, spec) else None
    return None


def _no_walls_here(error: SandboxError, spec: SandboxSpec) -> bool:
    """Whether a namespace sandbox cannot exist on this machine, however often it is tried."""
    from .spawner import HolderError

    cause = error.__cause__
    return isinstance(cause, HolderError) and cause.number not in _FAULTS and not disk_is_full(spec.scratch)
