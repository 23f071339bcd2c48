"""Diagnosis: what an answer of unknown meaning may mean, found out by trying.

An endpoint that refuses a request in words that nobody knows is asked again with the smallest changes that
could explain it, each once: first what its words hint at, then without everything that no answered request
held, then without tools or the other way of streaming, then with a shorter prompt, then as plainly as possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .accepts import NOTHING, Features

_HEAVY: Features = frozenset({"tools", "stream", "whole"})
_LENGTH = re.compile(r"context|token|length|too (long|large|big)|\bsize\b|exceed|\blimit", re.IGNORECASE)
_LONG_TOKENS = 1500
"""A shorter prompt is not too long for any model in use."""
_HINTS: tuple[tuple[re.Pattern[str], Features], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), frozenset(names))
    for pattern, names in (
        (r"\bsystem\b|developer|instruction", ("system",)),
        (r"\btools?\b(?!_)|tool[_ -](call|use)|function", ("tools",)),
        (r"stream", ("stream", "whole", "stream_options")),
        (r"schema|additionalProperties|\$ref|anyOf", ("schema_keywords", "response_format")),
        (r"null|none is not|must be a (valid )?string|content.*(missing|required)", ("null_content",)),
        (r"empty|blank|whitespace|non-?empty", ("blank_content", "null_content")),
        (r"alternat|\brole\b|\border\b|consecutive|last message", ("user_after_tool", "users_in_a_row")),
        (r"tool[_ ]call[_ ]?id|call id|\[a-zA-Z0-9\]|length of 9", ("call_ids",)),
        (r"parallel|(one|single|multiple) tool", ("parallel_calls", "parallel_tool_calls")),
        (r"log_?probs?", ("logprobs", "top_logprobs")),
        (r"reasoning|thinking", ("reasoning", "reasoning_effort", "reasoning_content")),
        (r"image|vision|multimodal", ("images",)),
        (r"control character|unicode|utf-?8|surrogate|\\u0000|null byte", ("control_characters",)),
        (r"cache", ("cache_control",)),
    )
)  # fmt: skip


def hinted(words: str, present: Features) -> Features:
    """What of `present` the refusal's words point to: names as they were sent, or what they speak of."""
    named = frozenset(name for name in present if re.search(rf"\b{re.escape(name)}\b", words, re.IGNORECASE))
    if named - _HEAVY:
        return named - _HEAVY
    return next(
        (names & present for pattern, names in _HINTS if pattern.search(words) and names & present), named
    )


@dataclass(frozen=True, slots=True)
class Experiment:
    """One more request. `shorter`: no request, but a shorter prompt from the caller."""

    leave_out: Features = NOTHING
    shorter: bool = False


@dataclass(slots=True)
class Case:
    """One refusal and the experiments on it; kept per conversation until an answer comes."""

    words: str
    before: Features
    """What the refused request left out already."""
    present: Features
    """What it held."""
    known: Features
    """What of that an answered request held."""
    tokens: int
    """Of its prompt, an estimate."""
    known_tokens: int
    """Of the longest prompt that was answered."""
    may_use_text: bool
    certain: bool
    """A refusal (4xx), not a failure that may pass by itself (5xx)."""
    before_it: int = 0
    """Requests that the suspicion took: a repeated one, a harmless one."""
    tried: set[Features] = field(default_factory=set[Features])
    made: int = 0
    shortened: int = 0
    hint_failed: bool = False
    light_failed: bool = False
    current: Experiment | None = None

    def next(self) -> Experiment | None:
        """The next experiment; None when nothing is left to try."""
        for number, experiment in self._experiments():
            if experiment.shorter:
                if self.shortened >= 2:
                    continue
                self.shortened += 1
            elif experiment.leave_out in self.tried or experiment.leave_out <= self.before:
                continue
            else:
                self.tried.add(experiment.leave_out)
            self.light_failed = self.light_failed or number > 1
            self.current = experiment
            self.made += 1
            return experiment
        return None

    def _experiments(self) -> Iterator[tuple[int, Experiment]]:
        """(stage, experiment), in the order in which they are tried."""
        new = self._allowed(self.present - self.known)
        hint = self._allowed(hinted(self.words, self.present))
        speaks_of_length = bool(_LENGTH.search(self.words)) and self.tokens > _LONG_TOKENS
        if hint and (hint & new or not self.known):
            yield 0, Experiment(self.before | hint)
        light = new - _HEAVY
        if speaks_of_length:
            yield 1, Experiment(shorter=True)
        yield 1, Experiment(self.before | light)
        yield 2, Experiment(self.before | new)
        if self.certain and self.tokens > max(_LONG_TOKENS, self.known_tokens):
            yield 3, Experiment(shorter=True)
        everything = self._allowed(self.present) | {"max_tokens", "max_completion_tokens", "stream_options"}
        plain = self.before | (everything - _HEAVY)
        yield 4, Experiment(plain)
        if "tools" in everything:
            yield 5, Experiment(plain | {"tools"})
        yield 6, Experiment(plain | (everything & {"stream", "whole"}))

    def _allowed(self, features: Features) -> Features:
        return features if self.may_use_text else features - {"tools"}

    @property
    def blamed(self) -> Features:
        """What must have been it, once the current experiment has worked: one thing, or the heavy ones."""
        if self.current is None:
            return NOTHING
        found = self.current.leave_out - self.before
        if len(found) == 1:
            return found
        return found & _HEAVY if self.light_failed else NOTHING
