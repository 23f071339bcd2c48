"""AutoGenModel: a ModelClient as AutoGen's ChatCompletionClient, so that it serves any AutoGen agent or team."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from ...tools.toolbox.tool_schema import FunctionSchema
from ...tools.toolbox.tool_schema import ToolSchema as OfferedTool
from ..models.client import ModelClient, Sample
from .messages import from_autogen

_SAMPLING = {"temperature", "top_p", "seed", "reasoning_effort", "logprobs", "max_output_tokens"}
_FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "content_filter": "content_filter",
}


class AutoGenModel(ChatCompletionClient):
    """Retries, budget, fallbacks and observers are the client's."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, client: ModelClient) -> None:
        self._client = client
        self._last = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._total = self._last

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, object] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Raises: what `ModelClient.sample` raises; asyncio.CancelledError."""
        return await self._create(
            messages, tools, tool_choice, json_output, extra_create_args, cancellation_token, None
        )

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, object] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Like `create`, yielding text as it comes and the result last. Text of an attempt that was cut and
        repeated comes again; the result is the whole truth."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        task = asyncio.ensure_future(
            self._create(
                messages, tools, tool_choice, json_output, extra_create_args, cancellation_token,
                pieces.put_nowait,
            )
        )  # fmt: skip
        task.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (text := await pieces.get()) is not None:
                yield text
            yield await task
        finally:
            task.cancel()

    async def _create(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[Tool | ToolSchema],
        tool_choice: Tool | str,
        json_output: bool | type[BaseModel] | None,
        extra: Mapping[str, object],
        token: CancellationToken | None,
        on_text: Callable[[str], None] | None,
    ) -> CreateResult:
        changed = {name: value for name, value in extra.items() if name in _SAMPLING}
        choice: Any = tool_choice
        if isinstance(tool_choice, Tool):
            choice = {"type": "function", "function": {"name": tool_choice.name}}
        call = asyncio.ensure_future(
            self._client.sample(
                from_autogen(messages),
                tools=[_shape(tool) for tool in tools],
                tool_choice=choice,
                json_output=json_output,
                sampling=replace(self._client.sampling, **changed) if changed else None,
                extra={name: value for name, value in extra.items() if name not in _SAMPLING},
                on_text=on_text,
            )
        )
        if token is not None:
            token.link_future(call)
        return self._result(await call)

    def _result(self, sample: Sample) -> CreateResult:
        self._last = RequestUsage(
            prompt_tokens=sample.prompt_tokens, completion_tokens=sample.completion_tokens
        )
        self._total = RequestUsage(
            prompt_tokens=self._total.prompt_tokens + sample.prompt_tokens,
            completion_tokens=self._total.completion_tokens + sample.completion_tokens,
        )
        message = sample.message
        calls = [FunctionCall(id=c.id, name=c.name, arguments=c.arguments) for c in message.tool_calls]
        return CreateResult(
            finish_reason=_FINISH.get(sample.finish_reason, "unknown"),  # type: ignore[arg-type]
            content=calls or message.content,
            usage=self._last,
            cached=sample.call.replayed,
            thought=message.reasoning or (message.content or None if calls else None),
        )

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """An estimate from the size in bytes, calibrated by the usage of earlier calls."""
        return self._client.estimate(from_autogen(messages), [_shape(tool) for tool in tools])

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()
    ) -> int:
        """Tokens left in the context window; a window that is not known counts as 128,000."""
        return (self._client.context_window or 128_000) - self.count_tokens(messages, tools=tools)

    def actual_usage(self) -> RequestUsage:
        return self._last

    def total_usage(self) -> RequestUsage:
        return self._total

    @property
    def model_info(self) -> ModelInfo:
        return {
            "vision": self._client.vision,
            "function_calling": True,
            "json_output": True,
            "structured_output": True,
            "family": ModelFamily.UNKNOWN,
            "multiple_system_messages": False,
        }

    @property
    def capabilities(self) -> ModelInfo:  # type: ignore[override]  # AutoGen's deprecated name for the same
        return self.model_info

    async def close(self) -> None:
        await self._client.close()


def _shape(tool: Tool | ToolSchema) -> OfferedTool:
    """OpenAI's shape of a tool."""
    schema: Any = tool if isinstance(tool, Mapping) else tool.schema
    function: FunctionSchema = {"name": schema["name"], "description": schema.get("description", "")}
    if schema.get("parameters"):
        function["parameters"] = schema["parameters"]
    if schema.get("strict"):
        function["strict"] = schema["strict"]
    return {"type": "function", "function": function}
