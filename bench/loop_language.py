"""LanguageModel: a causal language model of transformers as a policy of the loop's server, on this machine's CPU."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from loop_attention import register
from loop_past import Layers, Memory, Past, cache_of, layers_of, padded
from loop_policy import Asked, Said, read_calls
from transformers import AutoModelForCausalLM, AutoTokenizer


class LanguageModel:
    """Answers several requests at once, a token each in turn; one may join between two tokens. What is known of a prompt
    from an earlier turn or request is not computed again. Weights are float32: a CPU without instructions for bfloat16
    is several times slower in that."""

    def __init__(self, folder: Path, *, most: int = 8) -> None:
        self._draws = torch.Generator().manual_seed(
            0
        )  # one for all answers: the same prompt is not answered alike
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=register()
        ).eval()
        self._end = self._tokenizer.convert_tokens_to_ids("<|im_end|>")
        self._most = most
        self._memory = Memory()
        self.computed = 0
        """Prompt tokens that were computed, and not known before."""
        self._queue: queue.Queue[_Row | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer(self, asked: Asked) -> Said:
        messages = [_decoded(message) for message in asked.messages]
        text = self._tokenizer.apply_chat_template(
            messages, tools=list(asked.tools) or None, add_generation_prompt=True, tokenize=False
        )
        prompt = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        row = _Row(asked, prompt)
        self._queue.put(row)
        row.done.result()
        ids = row.sampled
        cut = not ids or ids[-1] != self._end
        said = self._tokenizer.decode(ids if cut else ids[:-1], skip_special_tokens=False)
        text, calls = read_calls(said)
        return Said(text, calls, cut and not calls, prompt, ids, row.logprobs)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        """Until `close`, when no row is left; whatever torch raises, the callers of that batch raise."""
        batch: _Batch | None = None
        closing = False
        with torch.inference_mode():
            while batch is not None or not closing:
                rows = list(batch.rows) if batch is not None else []
                try:
                    while not closing and len(rows) < self._most and (not rows or not self._queue.empty()):
                        row = self._queue.get()
                        if row is None:
                            closing = True
                            continue
                        rows.append(row)
                        batch = _joined(batch, self._begun(row))
                    batch = self._further(batch) if batch is not None else None
                except Exception as error:
                    batch = None
                    for row in rows:
                        if not row.done.done():
                            row.done.set_exception(error)

    def _begun(self, row: _Row) -> _Batch:
        """A batch of this row alone: its prompt is computed as far as it is not known."""
        known, layers = self._memory.recall(row.prompt)
        self.computed += len(row.prompt) - known
        out = self._model(torch.tensor([row.prompt[known:]]), past_key_values=cache_of(layers), use_cache=True,
                          logits_to_keep=1)  # fmt: skip
        cache = cache_of(layers_of(out.past_key_values))
        return _Batch([row], cache, [len(row.prompt)], out.logits[:, -1])

    def _further(self, batch: _Batch) -> _Batch | None:
        """One token more of each row; None when none is left. Rows that end are answered and remembered."""
        following = _chosen(batch.logits, [row.asked.temperature for row in batch.rows], self._draws)
        known = torch.log_softmax(batch.logits, -1).gather(-1, following[:, None])[:, 0].tolist()
        going: list[int] = []
        for place, row in enumerate(batch.rows):
            token = int(following[place])
            row.sampled.append(token)
            row.logprobs.append(known[place])
            if token != self._end and len(row.sampled) < row.asked.max_tokens:
                going.append(place)
                continue
            self._memory.keep(Past([*row.prompt, *row.sampled[:-1]], batch.past(place)))
            row.done.set_result(None)
        if not going:
            return None
        if len(going) < len(batch.rows):
            batch, following = batch.of(going), following[going]
        mask = torch.cat([batch.mask(), torch.ones(len(going), 1, dtype=torch.long)], 1)
        out = self._model(following[:, None], attention_mask=mask, past_key_values=batch.cache, use_cache=True,
                          position_ids=torch.tensor(batch.lengths)[:, None])  # fmt: skip
        lengths = [length + 1 for length in batch.lengths]
        return _Batch(batch.rows, out.past_key_values, lengths, out.logits[:, -1])


@dataclass(slots=True)
class _Row:
    """One request on its way."""

    asked: Asked
    prompt: list[int]
    sampled: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    done: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows that go on together. All end at the same place; shorter ones have room on their left."""

    rows: Sequence[_Row]
    cache: Any
    lengths: Sequence[int]
    """Tokens of each row that are in the cache."""
    logits: Any
    """Of the token that follows, [rows, vocabulary]."""

    @property
    def layers(self) -> Layers:
        return layers_of(self.cache)

    @property
    def width(self) -> int:
        return self.cache.get_seq_length()

    def mask(self) -> Any:
        return (torch.arange(self.width) >= self.width - torch.tensor(self.lengths)[:, None]).long()

    def past(self, place: int) -> Layers:
        """Of one row, as a copy."""
        start = self.width - self.lengths[place]
        rows = slice(place, place + 1)
        return [
            (keys[rows, :, start:].clone(), values[rows, :, start:].clone()) for keys, values in self.layers
        ]

    def of(self, places: list[int]) -> _Batch:
        """These rows alone, without room that none of them needs."""
        lengths = [self.lengths[place] for place in places]
        start = self.width - max(lengths)
        layers = [(keys[places, :, start:], values[places, :, start:]) for keys, values in self.layers]
        rows = [self.rows[place] for place in places]
        return _Batch(rows, cache_of(layers), lengths, self.logits[places])


def _joined(batch: _Batch | None, other: _Batch) -> _Batch:
    if batch is None:
        return other
    width = max(batch.width, other.width)
    layers = [
        (torch.cat([padded(keys, width), padded(more_keys, width)]),
         torch.cat([padded(values, width), padded(more_values, width)]))
        for (keys, values), (more_keys, more_values) in zip(batch.layers, other.layers, strict=True)
    ]  # fmt: skip
    logits = torch.cat([batch.logits, other.logits])
    return _Batch([*batch.rows, *other.rows], cache_of(layers), [*batch.lengths, *other.lengths], logits)


def _chosen(logits: Any, temperatures: Sequence[float], generator: Any) -> Any:
    """A token a row: the likeliest at temperature 0, else sampled."""
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
