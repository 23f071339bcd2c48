"""OpenAIWire: OpenAI-compatible endpoints through the openai SDK. litellm is never imported here.

The SDK resolves base URL, proxies, authentication and connection pool; the body is handed to it as bytes
joined from the pieces of the history, and the answer is read from JSON without building SDK objects: both
would cost time that grows with the history.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from ... import __version__
from ...tools.body_limit import ENCODINGS, bounded
from ...tools.proxies import http_options
from .encoder import Piece, ToolShapes, dumps, with_cache_control, with_reasoning
from .failures import from_status
from .imports import openai
from .openai_answer import read_completion
from .openai_stream import StreamReader
from .providers import OPENAI, Route
from .wire import Answer, Request, WireError

_CONNECT_S = 15.0
_REASONING_MODELS = ("o1", "o3", "o4", "gpt-5")


class OpenAIWire:
    """One endpoint. Holds one connection pool per event loop and key."""

    def __init__(self, route: Route, *, inactivity_s: float, token_ids: bool | None = None) -> None:
        self._route = route
        self._inactivity_s = inactivity_s
        self._token_ids = route.token_ids if token_ids is None else token_ids
        self._tools = ToolShapes()
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, Any]] = (
            weakref.WeakKeyDictionary()
        )

    async def ready(self) -> None:
        openai()

    async def attempt(self, request: Request, key: str | None) -> Answer:
        body = self._body(request)
        client = self._client(key)
        try:
            async with asyncio.timeout(request.timeout_s):
                if request.on_text is None:
                    response = await self._post(client, body, request.timeout_s)
                    return read_completion(response.content)
                quiet_s = min(self._inactivity_s, request.timeout_s)
                response = await self._post(
                    client, body, quiet_s, stream=True, stream_cls=openai().module.AsyncStream[Any]
                )
                return await _streamed(response, request.on_text, quiet_s)
        except TimeoutError:
            raise WireError("timeout", f"no answer within {request.timeout_s:g} s") from None

    async def _post(self, client: Any, body: bytes, timeout_s: float, **options: Any) -> Any:
        sdk = openai()
        try:
            return await client.post(
                "/chat/completions",
                cast_to=sdk.response_type,
                content=body,
                options={
                    "headers": {"content-type": "application/json"},
                    "timeout": sdk.timeout(timeout_s, _CONNECT_S),
                },
                **options,
            )
        except sdk.module.APIStatusError as error:
            response = error.response
            failure = from_status(response.status_code, response.content, response.headers)
            if failure.status == 404 and self._route.base_url and not self._route.base_url.endswith("/v1"):
                raise WireError(
                    "missing", f"{failure} (the endpoint may be {self._route.base_url}/v1)", status=404
                ) from None
            raise failure from None
        except sdk.module.APITimeoutError as error:
            connect = isinstance(error.__cause__, sdk.connect_timeout)
            raise WireError(
                "timeout", "the endpoint did not accept the connection in time" if connect else
                f"no answer within {timeout_s:g} s", connected=not connect,
            ) from None  # fmt: skip
        except sdk.module.APIConnectionError as error:
            raise _connection_failure(error.__cause__ or error, sdk) from None

    def _client(self, key: str | None) -> Any:
        loop = asyncio.get_running_loop()
        clients = self._clients.setdefault(loop, {})
        client = clients.get(key)
        if client is None:
            headers = {"User-Agent": f"swe-agent/{__version__}", "Accept-Encoding": ENCODINGS}
            if self._route.provider == "openrouter":
                headers["X-Title"] = "swe-agent"
            sdk = openai().module
            http = sdk.DefaultAsyncHttpxClient(
                event_hooks={"response": [bounded]}, **http_options(self._route.base_url or OPENAI)
            )
            client = clients[key] = sdk.AsyncOpenAI(
                http_client=http,
                # The SDK insists on a key; servers without keys ignore it.
                api_key=key or "none",
                base_url=self._route.base_url,
                max_retries=0,
                default_headers=headers,
                organization=None,
            )
        return client

    def _body(self, request: Request) -> bytes:
        pieces: list[Piece] = list(request.pieces)
        if "reasoning" not in request.leave_out:
            pieces = with_reasoning(pieces, self._route.reasoning)
        if self._route.cache_control and "cache_control" not in request.leave_out:
            pieces = with_cache_control(pieces)
        fields = self._fields(request)
        tail = [b"]"]
        if request.tools:
            tail += [b',"tools":', self._tools.wire(request.tools)]
        for name, value in fields.items():
            tail += [b",", dumps(name), b":", dumps(value)]
        # One join, so that the history is copied once.
        wires = [piece.wire for piece in pieces] or [b""]
        wires[0] = b'{"model":' + dumps(self._route.name) + b',"messages":[' + wires[0]
        wires[-1] += b"".join([*tail, b"}"])
        return b",".join(wires)

    def _fields(self, request: Request) -> dict[str, object]:
        sampling = request.sampling
        fields: dict[str, object] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "response_format": request.response_format,
        }
        if request.tools and request.tool_choice not in (None, "auto"):
            fields["tool_choice"] = request.tool_choice
        if request.max_output_tokens is not None:
            name = self._route.max_tokens_field
            swapped = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[name]
            fields[swapped if name in request.leave_out else name] = request.max_output_tokens
        if sampling.logprobs is not None:
            fields["logprobs"] = True
            fields["top_logprobs"] = sampling.logprobs or None
        if self._token_ids:
            fields["return_token_ids"] = True
            fields["logprobs"] = True  # replay weighs a rollout by them
        if sampling.reasoning_effort is not None:
            if self._route.provider == "openrouter":
                fields["reasoning"] = {"effort": sampling.reasoning_effort}
            else:
                fields["reasoning_effort"] = sampling.reasoning_effort
        if self._route.provider == "openrouter":
            fields["usage"] = {"include": True}
        if request.on_text is not None:
            fields["stream"] = True
            fields["stream_options"] = {"include_usage": True}
        fields.update(request.extra)
        return {
            name: value
            for name, value in fields.items()
            if value is not None and name not in request.leave_out
        }

    def parameters(self, request: Request) -> frozenset[str]:
        return frozenset(self._fields(request)) - {"stream"}

    async def models(self, key: str | None, timeout_s: float) -> list[Mapping[str, object]]:
        """The endpoint's list of models: costs nothing. Raises: WireError."""
        sdk = openai()
        client = self._client(key)
        try:
            response = await client.get(
                "/models", cast_to=sdk.response_type, options={"timeout": sdk.timeout(timeout_s, timeout_s)}
            )
            data = response.json()
        except sdk.module.APIStatusError as error:
            raise from_status(
                error.response.status_code, error.response.content, error.response.headers
            ) from None
        except sdk.module.APITimeoutError:
            raise WireError("timeout", f"no answer within {timeout_s:g} s", connected=False) from None
        except sdk.module.APIConnectionError as error:
            raise _connection_failure(error.__cause__ or error, sdk) from None
        except ValueError:
            raise WireError("fatal", "the endpoint's list of models is not JSON") from None
        found = data.get("data") if isinstance(data, Mapping) else None
        return [entry for entry in found or () if isinstance(entry, Mapping)]

    async def close(self) -> None:
        clients = self._clients.pop(asyncio.get_running_loop(), {})
        for client in clients.values():
            await client.close()


def _connection_failure(error: BaseException, sdk: Any) -> WireError:
    name = type(error).__name__
    text = " ".join(str(error).split())[:200]
    if name == "DecodingError":
        return WireError("fatal", text)
    if isinstance(error, sdk.invalid_url):
        return WireError("missing", f"the endpoint's address is not valid: {text}", connected=False)
    return WireError(
        "transient", f"{name}: {text}" if text else name, connected=not isinstance(error, sdk.connect_error)
    )


async def _streamed(response: Any, on_text: Callable[[str], None], quiet_s: float) -> Answer:
    """The answer of a stream of server-sent events, or of an endpoint that answers whole all the same."""
    sdk = openai()
    reader = StreamReader()
    try:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            answer = read_completion(await response.aread())
            if answer.message.content:
                on_text(answer.message.content)
            return answer
        async for data in _events(response):
            text = reader.feed(data)
            if text:
                on_text(text)
            if reader.done:
                break
    except sdk.read_timeout:
        raise WireError("timeout", f"the stream was silent for {quiet_s:g} s") from None
    except sdk.http_error as error:
        raise _connection_failure(error, sdk) from None
    finally:
        await response.aclose()
    return reader.answer()


async def _events(response: Any) -> AsyncIterator[bytes]:
    """The data of each server-sent event (WHATWG HTML 9.2); an event cut in the middle is not one."""
    rest = b""
    data: list[bytes] = []
    async for block in response.aiter_bytes():
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].lstrip(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []
    # A last event without its blank line still counts when it is whole.
    if rest.startswith(b"data:"):
        data.append(rest[5:].strip())
    if data and (data[-1] == b"[DONE]" or data[-1].endswith(b"}")):
        yield b"\n".join(data)
