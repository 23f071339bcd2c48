"""Tool: a typed function with a JSON schema that a role may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool call came to. A tool that cannot do what was asked is `ok=False` with text to act on;
    an exception means that a boundary failed (SandboxError)."""

    text: str
    """What the model sees; never empty; bounded head and tail."""
    ok: bool = True
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the orchestrator sees and the model does not (a TestReport, the finish message)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One entry of a toolbox. `run` takes the parsed arguments; it checks them itself."""

    name: str
    """Wire name, camelCase after the card: readFile, writeFile, runTests, ..."""
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of the arguments (type object, additionalProperties false)."""
    run: Callable[[Mapping[str, Any]], ToolResult]
    mutates: bool = False
    """May change the working tree."""

    @property
    def schema(self) -> dict[str, Any]:
        """The OpenAI function shape: {type, function {name, description, parameters}}."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": dict(self.parameters),
            },
        }
