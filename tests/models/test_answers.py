"""Reading answers: whatever an endpoint sends is an answer or a failure, never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.completions import completion, stream_chunks

from swe_agent.agents.models.failures import from_body, from_status, retry_after
from swe_agent.agents.models.openai_answer import read_completion
from swe_agent.agents.models.openai_stream import StreamReader
from swe_agent.agents.models.wire import Answer, WireError

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
REPLY: dict[str, Any] = {
    "content": "one two",
    "reasoning_content": "hm",
    "tool_calls": [
        {"name": "look", "arguments": {"at": 1}, "id": "c1"},
        {"name": "see", "arguments": {}, "id": "c2"},
    ],
    "logprobs": [{"token": "a", "logprob": -0.5, "top_logprobs": []}],
    "token_ids": [1, 2],
    "prompt_token_ids": [3],
}


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [at]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += paths(item, (*at, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


@given(st.data())
def test_a_completion_with_any_part_replaced(data: st.DataObject) -> None:
    body = completion(REPLY)
    path = data.draw(st.sampled_from(paths(body)))
    try:
        answer = read_completion(json.dumps(changed(body, path, data.draw(anything))).encode())
    except WireError:
        return
    json.dumps(answer.as_response())
    assert all(isinstance(part, str) for call in answer.message.tool_calls for part in call)


@given(st.data())
def test_a_stream_with_any_part_replaced(data: st.DataObject) -> None:
    chunks: Any = stream_chunks(REPLY)
    path = data.draw(st.sampled_from(paths(chunks)[1:]))
    reader = StreamReader()
    try:
        for chunk in changed(chunks, path, data.draw(anything)):
            reader.feed(json.dumps(chunk))
        answer = reader.answer()
    except WireError:
        return
    json.dumps(answer.as_response())


@given(anything)
def test_any_error_body_is_an_error_of_one_line(body: Any) -> None:
    for error in (from_status(400, json.dumps(body), {}), from_body(body)):
        assert isinstance(error, WireError)
        assert "\n" not in str(error)
        assert len(str(error)) <= 300


@given(st.text())
def test_any_retry_after_is_a_time_or_nothing(value: str) -> None:
    wait = retry_after({"retry-after": value, "retry-after-ms": value})
    assert wait is None or 0 <= wait < float("inf")


def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    reader = StreamReader()
    for chunk in stream_chunks(REPLY):
        reader.feed(chunk)
    streamed, whole = reader.answer(), read_completion(completion(REPLY))
    for name in ("finish_reason", "usage", "token_ids", "prompt_token_ids", "served_model"):
        assert getattr(streamed, name) == getattr(whole, name), name
    one, other = streamed.message, whole.message
    assert (one.content, one.tool_calls) == (other.content, other.tool_calls)


def test_a_response_read_back_is_the_same_answer() -> None:
    answer = read_completion(completion(REPLY))
    again = Answer.from_response(json.loads(json.dumps(answer.as_response())))
    assert again.as_response() == answer.as_response()


@pytest.mark.parametrize("missing", [{"logprob": None}, {"token": "b"}, None])
def test_logprobs_with_a_hole_are_no_logprobs(missing: Any) -> None:
    whole = {"token": "a", "logprob": -0.1}
    assert read_completion(completion({"content": "ab", "logprobs": [whole, missing]})).logprobs is None


def test_servers_that_leave_out_the_index_of_streamed_calls() -> None:
    reader = StreamReader()
    for name in ("look", "see"):
        call = {"id": f"c-{name}", "function": {"name": name, "arguments": "{}"}}
        reader.feed({"choices": [{"delta": {"tool_calls": [call]}}]})
    reader.feed({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    assert [call.name for call in reader.answer().message.tool_calls] == ["look", "see"]
