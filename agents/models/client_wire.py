"""ClientWire: a program that is itself a ChatCompletionClient (the offline repair model), as a wire.

One instance per scope, so that its state belongs to one turn. It costs no tokens and no money.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from autogen_core.models import ChatCompletionClient

from ...tools.errors import ModelError
from .calls import Usage
from .wire import Answer, Request

_FINISH = {"function_calls": "tool_calls"}


class ClientWire:
    """Named by `module:class`; imported on the first call."""

    def __init__(self, dotted: str) -> None:
        self._dotted = dotted
        self._clients: dict[str, ChatCompletionClient] = {}

    async def ready(self) -> None:
        """Loaded with the first call of each scope."""

    async def attempt(self, request: Request, key: str | None) -> Answer:
        client = self._clients.get(request.scope)
        if client is None:
            client = self._clients[request.scope] = self._load()()
        result = await client.create(request.messages, tools=_schemas(request))
        content = result.content if isinstance(result.content, str) else result.thought or ""
        calls: list[Any] = [] if isinstance(result.content, str) else result.content
        if request.on_text is not None and content:
            request.on_text(content)
        return Answer(
            content=content,
            reasoning=None if calls else result.thought,
            tool_calls=[{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls],
            finish_reason=_FINISH.get(result.finish_reason, result.finish_reason),
            usage=Usage(prompt_tokens=0, completion_tokens=0, cost_usd=0.0),
        )

    def _load(self) -> type[Any]:
        module, _, name = self._dotted.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ModelError(f"the model {self._dotted} cannot be loaded: {error}") from error

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()


def _schemas(request: Request) -> list[Any]:
    """AutoGen's ToolSchema is the inside of OpenAI's function shape."""
    return [dict(tool["function"]) for tool in request.tools]
