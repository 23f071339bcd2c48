"""Policies of the loop's server: a teacher that knows each task's line, and a language model on this machine."""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from loop_tasks import Task

_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.S)


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat completion that is wanted."""

    messages: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]]
    temperature: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Call:
    """`arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. Token ids and logprobs (natural, of the model's own distribution at temperature 1) are those that
    were sampled; empty where a program answered."""

    text: str
    calls: Sequence[Call] = ()
    cut: bool = False
    prompt_ids: Sequence[int] = ()
    ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()


class Policy(Protocol):
    def answer(self, asked: Asked) -> Said: ...

    def close(self) -> None: ...


class Teacher:
    """Reads the file, edits the line, runs the tests, finishes."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks

    def answer(self, asked: Asked) -> Said:
        shown = next(str(message["content"]) for message in asked.messages if message["role"] == "user")
        task = next(task for task in self._tasks if task.issue in shown)
        turn = sum(message["role"] == "assistant" for message in asked.messages)
        edit = {"oldText": task.wrong, "newText": task.right}
        steps: list[tuple[str, dict[str, Any]]] = [
            ("readFile", {"path": task.path}),
            ("editFile", {"path": task.path, "edits": [edit]}),
            ("runTests", {}),
            ("finish", {"summary": f"{task.path} is mended and the tests pass."}),
        ]
        name, arguments = steps[min(turn, 3)]
        return Said("", [Call(name, json.dumps(arguments))])

    def close(self) -> None:
        pass


class LanguageModel:
    """A causal language model of transformers. Requests that wait together are answered as one batch, and what all
    prompts begin with is computed once."""

    def __init__(self, folder: Path, *, most: int = 8, wait_s: float = 0.05) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._draws = torch.Generator().manual_seed(
            0
        )  # one for all answers: the same prompt is not answered alike
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
        self._end = self._tokenizer.convert_tokens_to_ids("<|im_end|>")
        self._most, self._wait_s = most, wait_s
        self._prefix: list[int] = []
        self._cached: list[tuple[Any, Any]] = []
        """Keys and values of the prefix by layer, each [1, heads, tokens, width]."""
        self._queue: queue.Queue[_Waiting | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer(self, asked: Asked) -> Said:
        messages = [_decoded(message) for message in asked.messages]
        text = self._tokenizer.apply_chat_template(
            messages, tools=list(asked.tools) or None, add_generation_prompt=True, tokenize=False
        )
        prompt = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        waiting = _Waiting(asked, prompt)
        self._queue.put(waiting)
        ids, logprobs = waiting.done.result()
        cut = not ids or ids[-1] != self._end
        said = self._tokenizer.decode(ids if cut else ids[:-1], skip_special_tokens=False)
        text, calls = read_calls(said)
        return Said(text, calls, cut and not calls, prompt, ids, logprobs)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch = [first]
            try:
                while len(batch) < self._most:
                    one = self._queue.get(timeout=self._wait_s)
                    if one is None:
                        self._queue.put(None)
                        break
                    batch.append(one)
            except queue.Empty:
                pass
            try:
                self._generate(batch)
            except Exception as error:  # the caller raises it
                for waiting in batch:
                    waiting.done.set_exception(error)

    def _generate(self, batch: Sequence[_Waiting]) -> None:
        """Left-padded after the common prefix. Raises whatever torch raises."""
        import torch

        with torch.inference_mode():
            logits, cache, mask, positions = self._prefill([waiting.prompt for waiting in batch])
            sampled: list[list[int]] = [[] for _ in batch]
            logprobs: list[list[float]] = [[] for _ in batch]
            going = set(range(len(batch)))
            while True:
                following = _chosen(logits, [waiting.asked.temperature for waiting in batch], self._draws)
                known = torch.log_softmax(logits, -1).gather(-1, following[:, None])[:, 0].tolist()
                for row in sorted(going):
                    token = int(following[row])
                    sampled[row].append(token)
                    logprobs[row].append(known[row])
                    if token == self._end or len(sampled[row]) >= batch[row].asked.max_tokens:
                        going.discard(row)
                        batch[row].done.set_result((sampled[row], logprobs[row]))
                if not going:
                    return
                mask = torch.cat([mask, mask.new_ones(len(batch), 1)], 1)
                positions = positions + 1
                out = self._model(following[:, None], attention_mask=mask, position_ids=positions[:, None],
                                  past_key_values=cache, use_cache=True)  # fmt: skip
                logits = out.logits[:, -1].float()

    def _prefill(self, prompts: Sequence[list[int]]) -> tuple[Any, Any, Any, Any]:
        """Logits of the last token, the cache, the mask over it and each row's last position."""
        import torch
        from transformers import DynamicCache

        start = self._common(prompts)
        rows = [prompt[start:] for prompt in prompts]
        longest = max(map(len, rows))
        pad = self._end
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        own = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        mask = torch.cat([own.new_ones(len(rows), start), own], 1)
        positions = start + (own.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self._cached if start else ()):
            shape = (len(rows), -1, -1, -1)
            cache.update(keys[:, :, :start].expand(shape), values[:, :, :start].expand(shape), layer)
        out = self._model(ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
                          use_cache=True, logits_to_keep=1)  # fmt: skip
        if not start:
            self._prefix = list(prompts[0])
            skip = longest - len(rows[0])
            self._cached = [(layer.keys[:1, :, skip:].clone(), layer.values[:1, :, skip:].clone())
                            for layer in out.past_key_values.layers]  # fmt: skip
        return out.logits[:, -1].float(), out.past_key_values, mask, positions[:, -1]

    def _common(self, prompts: Sequence[list[int]]) -> int:
        """How many tokens of the kept prefix all prompts begin with; at least one token of each is left to compute."""
        length = min(len(self._prefix), min(map(len, prompts)) - 1)
        for prompt in prompts:
            length = next((place for place in range(length) if prompt[place] != self._prefix[place]), length)
        return length if length >= 16 else 0


@dataclass(slots=True)
class _Waiting:
    asked: Asked
    prompt: list[int]
    done: Future[tuple[list[int], list[float]]] = field(default_factory=Future)


def _chosen(logits: Any, temperatures: Sequence[float], generator: Any) -> Any:
    """A token a row: the likeliest at temperature 0, else sampled."""
    import torch

    best = logits.argmax(-1)
    heat = torch.tensor(temperatures)[:, None]
    drawn = torch.multinomial(torch.softmax(logits / heat.clamp(min=1e-3), -1), 1, generator=generator)[:, 0]
    return torch.where(heat[:, 0] > 0, drawn, best)


def _decoded(message: dict[str, Any]) -> dict[str, Any]:
    """Arguments as objects, which is what the template writes."""
    calls = [
        {"type": "function", "function": {"name": call["function"]["name"],
                                          "arguments": json.loads(call["function"]["arguments"] or "{}")}}
        for call in message.get("tool_calls") or ()
    ]  # fmt: skip
    return {
        "role": message["role"],
        "content": message.get("content") or "",
        **({"tool_calls": calls} if calls else {}),
    }


def read_calls(said: str) -> tuple[str, list[Call]]:
    """The text before the first call, and the calls that can be read; all is text where one cannot."""
    calls: list[Call] = []
    for found in _CALL.finditer(said):
        try:
            call = json.loads(found[1])
            calls.append(Call(str(call["name"]), json.dumps(call.get("arguments", {}))))
        except (ValueError, KeyError, TypeError, AttributeError):
            return said, []
    return (said[: said.index("<tool_call>")].strip(), calls) if calls else (said, [])
