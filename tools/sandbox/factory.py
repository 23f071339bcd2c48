"""open_sandbox: the dotted-name table above the implementations."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

from ..errors import SandboxError, UsageError
from .base import Sandbox, SandboxSpec

SandboxKind = Literal["auto", "namespace", "docker", "plain"]

_TABLE = {
    "namespace": ("namespace", "NamespaceSandbox"),
    "docker": ("docker", "DockerSandbox"),
    "plain": ("plain", "PlainSandbox"),
}


def open_sandbox(kind: str, spec: SandboxSpec) -> Sandbox:
    """Open a sandbox of `kind`; `auto` takes docker when an image is named, else namespace, else plain.

    Raises: UsageError for an unknown kind; SandboxError when the kind cannot run here, saying what is
    missing and what to do.
    """
    if kind == "auto":
        if spec.image is not None:
            return open_sandbox("docker", spec)
        try:
            return open_sandbox("namespace", spec)
        except SandboxError:
            return open_sandbox("plain", spec)
    if kind not in _TABLE:
        raise UsageError(f"unknown sandbox {kind!r}: use auto, namespace, docker or plain")
    if spec.mounts and kind != "namespace":
        raise SandboxError(f"the {kind} sandbox shows no host directory at another path: use namespace")
    module, name = _TABLE[kind]
    return getattr(import_module(f".{module}", __package__), name)(spec)
