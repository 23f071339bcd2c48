"""swe_agent: an issue becomes a verified patch, and every run becomes training data.

The names of `__all__` are the API; each is imported when it is first used.
"""

from __future__ import annotations

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .orchestrator.record.schema import Trajectory
    from .orchestrator.record.trajectory_file import read_runs
    from .orchestrator.request import SolveRequest, SolveResult
    from .orchestrator.settings import Settings
    from .orchestrator.solving.issue import Issue
    from .orchestrator.solving.run_directory import RunDirectory
    from .orchestrator.solving.solve import solve
    from .tools.errors import SweAgentError
    from .tools.patch import Patch
    from .tools.sandbox import Sandbox, SandboxSpec, open_sandbox
    from .tools.workspace import Workspace

_HOMES = {
    "Issue": "orchestrator.solving.issue",
    "Patch": "tools.patch",
    "RunDirectory": "orchestrator.solving.run_directory",
    "Sandbox": "tools.sandbox",
    "SandboxSpec": "tools.sandbox",
    "Settings": "orchestrator.settings",
    "SolveRequest": "orchestrator.request",
    "SolveResult": "orchestrator.request",
    "SweAgentError": "tools.errors",
    "Trajectory": "orchestrator.record.schema",
    "Workspace": "tools.workspace",
    "open_sandbox": "tools.sandbox",
    "read_runs": "orchestrator.record.trajectory_file",
    "solve": "orchestrator.solving.solve",
}

__all__ = [
    "Issue",
    "Patch",
    "RunDirectory",
    "Sandbox",
    "SandboxSpec",
    "Settings",
    "SolveRequest",
    "SolveResult",
    "SweAgentError",
    "Trajectory",
    "Workspace",
    "__version__",
    "open_sandbox",
    "read_runs",
    "solve",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "gymnasium" in _sys.modules:  # as its users expect, importing a package registers its environments
    from .orchestrator.training import gym as _environment

    _environment.register()
