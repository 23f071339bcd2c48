"""Tool: a typed function with a JSON schema that a role may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import SweAgentError, ToolError
from .tool_schema import JsonSchema, ToolSchema

if TYPE_CHECKING:
    from ..workspace import Workspace


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool call came to. A tool that cannot do what was asked is `ok=False` with text to act on;
    an exception means that a boundary failed (SandboxError)."""

    text: str
    """What the model sees; never empty; bounded head and tail."""
    ok: bool = True
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    """What the orchestrator sees and the model does not (a TestReport, the finish message)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One entry of a toolbox. `run` takes the arguments as `check_arguments` leaves them: as `parameters` says."""

    name: str
    """Wire name, camelCase after the card: readFile, writeFile, runTests, ..."""
    description: str
    parameters: JsonSchema
    """Schema of the arguments (type object, additionalProperties false)."""
    run: Callable[[Any], ToolResult]
    mutates: bool = False
    """May change the working tree."""

    @property
    def schema(self) -> ToolSchema:
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": {**self.parameters},
            },
        }


@dataclass(frozen=True, slots=True)
class ToolPlugin:
    """A tool that an installed package offers (entry point `swe_agent.tools`, named as the model calls it)."""

    description: str
    parameters: JsonSchema
    """Schema of the arguments; what does not fit it never reaches `run`."""
    run: Callable[[Workspace, Mapping[str, Any]], ToolResult]
    """On the role's workspace. Raise ToolError for what the model did wrong."""
    mutates: bool = False
    """May change the working tree; roles that may not write are refused it."""

    def on(self, workspace: Workspace, name: str) -> Tool:
        """The tool on a workspace. What else it raises is told to the model as its failure."""

        def run(arguments: Mapping[str, object]) -> ToolResult:
            try:
                return self.run(workspace, arguments)
            except SweAgentError:
                raise
            except Exception as error:  # it is somebody else's code
                raise ToolError(f"the tool failed: {type(error).__name__}: {error}") from error

        return Tool(name, self.description, self.parameters, run, self.mutates)
