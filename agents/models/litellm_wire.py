"""LitellmWire: every provider without an OpenAI-compatible endpoint. litellm is imported on the first call."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ...tools.body_limit import TOO_LARGE, bounding
from .calls import ModelOptions
from .completion import Completion
from .encoder import with_cache_control, with_reasoning
from .failures import OPTIONAL, from_status, retry_after
from .imports import quiet_collector
from .openai_answer import read_completion
from .openai_stream import StreamReader
from .providers import Route
from .wire import Answer, Request, WireError


@lru_cache(maxsize=1)
def _litellm() -> Any:
    # Without this litellm fetches its price list over the network when it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with quiet_collector():
        module: Any = importlib.import_module("litellm")
    module.suppress_debug_info = True
    module.telemetry = False
    module.drop_params = True
    module.modify_params = True
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    _bound_answers()
    return module


def _bound_answers() -> None:
    """litellm has no size for an answer: the transports that it makes, for any provider, get ours."""
    handler: Any = importlib.import_module("litellm.llms.custom_httpx.http_handler").AsyncHTTPHandler
    plain = handler._create_async_transport

    def transport(*arguments: Any, **named: Any) -> Any:
        made = plain(*arguments, **named)
        if made is not None:
            made.handle_async_request = bounding(made.handle_async_request)
        return made

    handler._create_async_transport = staticmethod(transport)


class LitellmWire:
    """One model through `litellm.acompletion`, with litellm's own retries off."""

    def __init__(self, route: Route, options: ModelOptions) -> None:
        self._route = route
        self._options = options

    async def ready(self) -> None:
        try:
            await asyncio.to_thread(_litellm)
        except ImportError as error:
            raise WireError("fatal", f"litellm cannot be imported: {error}") from error

    async def attempt(self, request: Request, key: str | None) -> Answer:
        litellm = _litellm()
        try:
            async with asyncio.timeout(request.timeout_s):
                response = await litellm.acompletion(**self._arguments(request, key))
                if request.on_text is None:
                    return read_completion(_plain(response))
                return await self._stream(response, request)
        except TimeoutError:
            raise WireError("timeout", f"no answer within {request.timeout_s:g} s") from None
        except ImportError as error:
            raise WireError("fatal", f"a package is missing: {_line(error)}") from error
        except (WireError, asyncio.CancelledError):
            raise
        except Exception as error:  # litellm raises its own, openai's, httpx's and providers' exceptions
            raise _failure(error) from error

    async def _stream(self, response: Any, request: Request) -> Answer:
        reader = StreamReader()
        chunks = aiter(response)
        while True:
            try:
                async with asyncio.timeout(self._options.inactivity_s):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return reader.answer()
            except TimeoutError:
                raise WireError(
                    "timeout", f"the stream was silent for {self._options.inactivity_s:g} s"
                ) from None
            text = reader.feed(_plain(chunk))
            if text and request.on_text is not None:
                request.on_text(text)

    def _arguments(self, request: Request, key: str | None) -> dict[str, object]:
        pieces = list(request.pieces)
        if "reasoning" not in request.leave_out:
            pieces = with_reasoning(pieces, self._route.reasoning)
        if self._route.cache_control and "cache_control" not in request.leave_out:
            pieces = with_cache_control(pieces)
        sampling = request.sampling
        arguments: dict[str, object] = {
            "model": self._route.name,
            "messages": [dict(piece.chat) for piece in pieces],
            "tools": [dict(tool) for tool in request.tools] or None,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "max_tokens": request.max_output_tokens,
            "reasoning_effort": sampling.reasoning_effort,
            "response_format": request.response_format,
            "api_base": self._options.api_base,
            "api_key": key,
            "timeout": request.timeout_s,
            "num_retries": 0,
            "max_retries": 0,
        }
        if self._route.context_window is not None:
            arguments["num_ctx"] = self._route.context_window
        if request.tools and request.tool_choice not in (None, "auto"):
            arguments["tool_choice"] = request.tool_choice
        if sampling.logprobs is not None:
            arguments["logprobs"] = True
            arguments["top_logprobs"] = sampling.logprobs or None
        if request.on_text is not None:
            arguments["stream"] = True
            arguments["stream_options"] = {"include_usage": True}
        arguments.update(request.extra)
        return {k: v for k, v in arguments.items() if v is not None and k not in request.leave_out}

    def parameters(self, request: Request) -> frozenset[str]:
        return frozenset(self._arguments(request, None)) & OPTIONAL

    async def close(self) -> None:
        """litellm keeps its own connections."""


def _plain(response: Any) -> Completion:
    return response.model_dump() if hasattr(response, "model_dump") else response


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _failure(error: Exception) -> WireError:
    name = type(error).__name__
    status = getattr(error, "status_code", None)
    response = getattr(error, "response", None)
    headers: Mapping[str, str] = (
        getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    )
    text = _line(error)
    if TOO_LARGE in text:
        return WireError("fatal", f"the endpoint's {TOO_LARGE}")
    if name == "ContextWindowExceededError":
        status, text = 400, f"context window exceeded: {text}"
    if name == "Timeout":
        return WireError("timeout", text)
    if name == "APIConnectionError":
        if "No module named" in text or "is not installed" in text:
            return WireError("fatal", f"a package is missing: {text}")
        refused = (
            "Cannot connect" in text or "ConnectError" in text or "All connection attempts failed" in text
        )
        return WireError("transient", text, connected=not refused)
    if isinstance(status, int) and status >= 400:
        failure = from_status(status, text, headers)
        failure.retry_after_s = retry_after(headers)
        return failure
    return WireError("fatal", f"{name}: {text}")
