"""Reading server-sent event streams of chat completions into Answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from .arguments import read_arguments
from .completion import CalledPart, Choice, Completion, Said, TokenUsage
from .failures import from_body
from .openai_answer import SHAPE, build, check_finish, loads, text_of
from .wire import Answer, WireError


class StreamReader:
    """Puts the chunks of a streamed chat completion together."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._shared: dict[int, int] = {}
        """Index that several calls share → where the newest of them is kept."""
        self._details: list[dict[str, Any]] = []
        self._blocks: list[object] = []
        self._finish: str | None = None
        self._usage: TokenUsage | None = None
        self._model: str | None = None
        self._logprobs: list[Any] = []
        self._token_ids: list[int] = []
        self._prompt_token_ids: list[int] | None = None
        self.done = False

    def feed(self, data: str | bytes | Completion) -> str:
        """One event's data. Returns the new text. Raises: WireError for an error event or broken JSON."""
        chunk: Any = data
        if isinstance(data, (str, bytes)):
            if data.strip() in ("[DONE]", b"[DONE]"):
                self.done = True
                return ""
            try:
                chunk = loads(data)
            except (ValueError, RecursionError):
                raise WireError("transient", "the stream holds an event that is not JSON") from None
        try:
            return self._chunk(cast(Completion, chunk)) if isinstance(chunk, Mapping) else ""
        except SHAPE as error:
            raise WireError("transient", f"the stream is not of a chat completion ({error})") from None

    def _chunk(self, chunk: Completion) -> str:
        if error := chunk.get("error"):
            raise from_body(error)
        self._model = chunk.get("model") or self._model
        self._usage = chunk.get("usage") or self._usage
        self._prompt_token_ids = chunk.get("prompt_token_ids") or self._prompt_token_ids
        for choice in chunk.get("choices") or ():
            if choice.get("index") in (None, 0):
                return self._choice(choice)
        return ""

    def _choice(self, choice: Choice) -> str:
        if error := choice.get("error"):
            raise from_body(error)
        check_finish(choice)
        self._finish = choice.get("finish_reason") or self._finish
        self._logprobs.extend((choice.get("logprobs") or {}).get("content") or ())
        self._token_ids.extend(choice.get("token_ids") or ())
        delta = choice.get("delta") or {}
        reasoning, plain = delta.get("reasoning_content"), delta.get("reasoning")
        if reasoning is None and isinstance(plain, str):
            reasoning = plain
        if reasoning:
            self._reasoning.append(reasoning)
        if refusal := delta.get("refusal"):
            self._refusal.append(refusal)
        for detail in delta.get("reasoning_details") or ():
            _merge_detail(self._details, detail)
        self._blocks.extend(delta.get("thinking_blocks") or ())
        for position, call in enumerate(delta.get("tool_calls") or ()):
            self._call(call, position)
        text = text_of(delta.get("content"))
        if text:
            self._text.append(text)
        return text

    def _call(self, call: CalledPart, position: int) -> None:
        function = call.get("function") or {}
        known = self._calls.setdefault(self._index(call, position), {"id": "", "name": "", "arguments": ""})
        known["id"] = str(call.get("id") or known["id"])
        known["name"] = known["name"] or str(function.get("name") or "")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            known["arguments"] += arguments
        elif arguments is not None:
            known["arguments"] += json.dumps(arguments, ensure_ascii=False)

    def _index(self, call: CalledPart, position: int) -> int:
        """Which call a part belongs to. Some servers leave the index out, and some give all calls the same one:
        another id begins another call, and a part without an id belongs to the last one."""
        index, id = call.get("index"), str(call.get("id") or "")
        last = max(self._calls, default=None)
        if index is None:
            if last is None:
                return position
            return last + 1 if id and id != self._calls[last]["id"] else last
        index = int(index)
        if self._shared.get(index) is not None and not (id and self._calls[index]["id"] == id):
            moved = self._shared[index]
            if id and self._calls[moved]["id"] != id:
                moved = self._shared[index] = (last or 0) + 1
            return moved
        known = self._calls.get(index)
        if known is None or not id or not known["id"] or known["id"] == id:
            return index
        if known["arguments"] and read_arguments(known["arguments"]) is None:
            return index  # a server that gives every part of one call an id of its own
        self._shared[index] = (last or 0) + 1
        return self._shared[index]

    def answer(self) -> Answer:
        """The whole message. Raises: WireError (transient) when the stream was cut."""
        try:
            return self._answer()
        except SHAPE as error:
            raise WireError("transient", f"the stream is not of a chat completion ({error})") from None

    def _answer(self) -> Answer:
        if self._finish is None and not self.done:
            raise WireError("transient", "the stream was cut before its end")
        if self._finish is None and not (self._text or self._calls or self._reasoning or self._refusal):
            raise WireError("transient", "the stream ended without a message")
        message: Said = {
            "content": "".join(self._text),
            "reasoning_content": "".join(self._reasoning) or None,
            "refusal": "".join(self._refusal) or None,
            "tool_calls": [
                {"id": c["id"], "function": {"name": c["name"], "arguments": c["arguments"] or "{}"}}
                for _, c in sorted(self._calls.items())
            ],
            "reasoning_details": self._details,
            "thinking_blocks": self._blocks,
        }
        return build(
            message,
            self._finish or "stop",
            self._usage,
            model=self._model,
            logprobs=self._logprobs or None,
            token_ids=self._token_ids or None,
            prompt_token_ids=self._prompt_token_ids,
        )


def _merge_detail(details: list[dict[str, Any]], new: Mapping[str, Any]) -> None:
    """OpenRouter streams one detail in parts of the same index and type; text parts are joined."""
    if details:
        last = details[-1]
        if last.get("index") == new.get("index") and last.get("type") == new.get("type"):
            for name in ("text", "summary", "data"):
                if isinstance(new.get(name), str):
                    last[name] = (last.get(name) or "") + new[name]
            for name, value in new.items():
                if name not in ("text", "summary", "data") and value is not None:
                    last[name] = value
            return
    details.append(dict(new))
