"""score: the Critic's judgement as a number with a spread.

Each criterion is asked for apart, on a scale of twenty letters, k times. Where the endpoint returns
logprobs the score is the expectation over the letters' probabilities, which breaks ties and needs no
sampling noise; where it does not, it is the letter that was sampled (after LLM-as-a-Verifier, 2026, and
G-Eval, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from ..prompts import render
from .conversation import Conversation
from .message import user
from .models.calls import TokenLogprob
from .models.client import ModelClient, Sample
from .observer import TurnObserver

LETTERS = "ABCDEFGHIJKLMNOPQRST"
QUESTIONS: Mapping[str, str] = {
    "addressesIssue": "Does the patch do what the issue asks, for all inputs that the issue covers?",
    "safeForCallers": "Does everything that used to work still work with the patch?",
    "minimal": "Is the patch free of needless or unrelated changes?",
    "honest": "Is the patch right by its logic, rather than bent to the tests at hand?",
}


@dataclass(frozen=True, slots=True)
class Score:
    """Mean over criteria and repetitions in [0, 1]; `sd` over the k repetitions, None for one."""

    mean: float
    sd: float | None
    k: int
    criteria: Mapping[str, float]


async def score(
    client: ModelClient,
    conversation: Conversation,
    observer: TurnObserver,
    *,
    k: int,
    agent: str = "critic",
) -> Score | None:
    """Ask k times for each criterion, each question on a fork of `conversation` (the finished review).

    Returns None when no answer held a letter. Raises: what the client raises.
    """
    per_round: list[dict[str, float]] = []
    for number in range(k):
        found: dict[str, float] = {}
        for name, question in QUESTIONS.items():
            id = f"{client.scope}:q{number}.{name}"
            text = render("score", question=question)
            value = await _ask(client, conversation.fork(), observer, id, text, agent)
            if value is not None:
                found[name] = value
        if found:
            per_round.append(found)
    if not per_round:
        return None
    means = [mean(found.values()) for found in per_round]
    names = {name for found in per_round for name in found}
    criteria = {name: mean(f[name] for f in per_round if name in f) for name in sorted(names)}
    return Score(mean(means), stdev(means) if len(means) > 1 else None, len(means), criteria)


async def _ask(
    client: ModelClient, fork: Conversation, observer: TurnObserver, id: str, question: str, agent: str
) -> float | None:
    asked = user(question)
    observer.message(id, asked, parent=fork.tip, agent=agent)
    fork.append(id, asked)
    sample = await client.sample(fork.messages)
    observer.message(
        f"{client.scope}:{sample.call.index}", sample.message, parent=id, agent=agent, sampled=True
    )
    return value_of(sample)


def value_of(sample: Sample) -> float | None:
    """The score in [0, 1] that an answer stands for; None when it holds no letter."""
    expected = _expectation(sample.logprobs or ())
    if expected is not None:
        return expected
    letter = next((char for char in sample.message.content.strip().upper()[:8] if char in LETTERS), None)
    return None if letter is None else LETTERS.index(letter) / (len(LETTERS) - 1)


def _expectation(logprobs: Sequence[TokenLogprob]) -> float | None:
    """Over the alternatives of the first token that is a letter of the scale."""
    for token in logprobs:
        if _letter(token.get("token", "")) is None:
            continue
        weights: dict[int, float] = {}
        for option in token.get("top_logprobs") or ():
            letter = _letter(
                option.get("token") or bytes(option.get("bytes") or ()).decode("utf-8", "replace")
            )
            if letter is not None:
                weights[letter] = weights.get(letter, 0.0) + math.exp(option["logprob"])
        total = sum(weights.values())
        if total > 0:
            return sum(i * weight for i, weight in weights.items()) / total / (len(LETTERS) - 1)
    return None


def _letter(text: str) -> int | None:
    text = text.strip().upper()
    return LETTERS.index(text) if len(text) == 1 and text in LETTERS else None


__all__ = ["LETTERS", "QUESTIONS", "Score", "score", "value_of"]
