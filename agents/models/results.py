"""Results: what a caller gets of an answer."""

from __future__ import annotations

import hashlib

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_core.models._types import ChatCompletionTokenLogprob, TopLogprob

from .calls import Call
from .wire import Answer, Request


class SampledResult(CreateResult):
    """A CreateResult that keeps apart what AutoGen folds into `thought`, and carries the call."""

    text: str
    """What the model wrote beside its tool calls, or its whole message."""
    reasoning: str | None
    call: Call


def name_calls(answer: Answer, request: Request) -> None:
    """Give each call an id that no other call of the conversation has, the same under every replay."""
    taken = set(request.prompt.call_ids)
    for number, call in enumerate(answer.tool_calls):
        if not call["id"] or call["id"] in taken:
            place = hashlib.sha256(f"{request.scope}\0{request.index}\0{number}".encode()).hexdigest()[:16]
            call["id"] = f"call_{place}"
        taken.add(call["id"])


def as_result(answer: Answer, call: Call, usage: RequestUsage) -> SampledResult:
    """AutoGen's shape: a list of calls, or text."""
    content: str | list[FunctionCall] = answer.content
    thought = answer.reasoning
    reason = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "function_calls",
        "content_filter": "content_filter",
    }
    if answer.tool_calls:
        content = [
            FunctionCall(id=c["id"], name=c["name"], arguments=c["arguments"]) for c in answer.tool_calls
        ]
        thought = answer.reasoning or answer.content or None
    logprobs = None
    if answer.logprobs is not None:
        logprobs = [
            ChatCompletionTokenLogprob(
                token=t.get("token", ""),
                logprob=t["logprob"],
                top_logprobs=[
                    TopLogprob(logprob=o["logprob"], bytes=o.get("bytes"))
                    for o in t.get("top_logprobs") or ()
                ],
                bytes=t.get("bytes"),
            )
            for t in answer.logprobs
        ]
    return SampledResult.model_construct(
        finish_reason=reason.get(answer.finish_reason, "unknown"),
        content=content,
        usage=usage,
        cached=call.replayed,
        logprobs=logprobs,
        thought=thought,
        text=answer.content,
        reasoning=answer.reasoning,
        call=call,
    )
