"""Where commands run: one contract, three kinds (namespace, docker, plain)."""

from .base import DEFAULT_ROOT, ExecResult, Limits, Sandbox, SandboxSpec, Session
from .factory import SandboxKind, open_sandbox

__all__ = [
    "DEFAULT_ROOT",
    "ExecResult",
    "Limits",
    "Sandbox",
    "SandboxKind",
    "SandboxSpec",
    "Session",
    "open_sandbox",
]
