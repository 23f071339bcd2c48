"""Chat completions in OpenAI's shape, from the replies of a script."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

Reply = Mapping[str, Any]
_ids = iter(range(1, 1 << 62))


def _calls(reply: Reply) -> list[dict[str, Any]]:
    calls = []
    for call in reply.get("tool_calls", ()):
        arguments = call.get("arguments", {})
        given = arguments if isinstance(arguments, str) else json.dumps(arguments)
        calls.append(
            {
                "id": call.get("id", f"call_{next(_ids)}"),
                "type": "function",
                "function": {"name": call["name"], "arguments": given},
            }
        )
    return calls


def _finish(reply: Reply) -> str:
    return reply.get("finish_reason") or ("tool_calls" if reply.get("tool_calls") else "stop")


def completion(reply: Reply) -> dict[str, Any]:
    """A whole chat completion in OpenAI's shape."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.get("content")}
    for name in ("reasoning_content", "reasoning", "reasoning_details", "refusal"):
        if name in reply:
            message[name] = reply[name]
    if reply.get("tool_calls"):
        message["tool_calls"] = _calls(reply)
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    if "logprobs" in reply:
        choice["logprobs"] = {"content": reply["logprobs"]}
    if "token_ids" in reply:
        choice["token_ids"] = reply["token_ids"]
    body: dict[str, Any] = {
        "id": f"chatcmpl-{next(_ids)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": reply.get("model", "scripted-1"),
        "choices": [choice],
        "usage": reply.get("usage", {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}),
    }
    if body["usage"] is None:
        del body["usage"]
    if "prompt_token_ids" in reply:
        body["prompt_token_ids"] = reply["prompt_token_ids"]
    return body


def stream_chunks(reply: Reply) -> list[dict[str, Any]]:
    """The same as OpenAI's chunks: text by words, arguments in two halves, usage last."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if reply.get("reasoning_content"):
        deltas += [{"reasoning_content": word + " "} for word in reply["reasoning_content"].split()]
    words = (reply.get("content") or "").split(" ")
    deltas += [{"content": word if i == 0 else f" {word}"} for i, word in enumerate(words) if word or i]
    for index, call in enumerate(_calls(reply)):
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        deltas.append(
            {"tool_calls": [{**call, "index": index, "function": {**call["function"], "arguments": ""}}]}
        )
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
            for part in (arguments[:half], arguments[half:])
        ]
    common = {
        "id": "chatcmpl-s",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": reply.get("model", "scripted-1"),
    }
    chunks = [
        {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    if reply.get("fault") != "clean_cut":
        chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish(reply)}]})
        usage = reply.get("usage", {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110})
        chunks.append({**common, "choices": [], "usage": usage})
    if "prompt_token_ids" in reply:
        chunks[0]["prompt_token_ids"] = reply["prompt_token_ids"]
    if "token_ids" in reply:
        chunks[1]["choices"][0]["token_ids"] = reply["token_ids"]
    return chunks
