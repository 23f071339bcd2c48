"""ExportOptions: what is exported of which runs."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from ..rewards.function import RewardFunction
from ..rewards.spec import RewardSpec

KINDS = (
    *("sft", "sft_pc", "sft_tokens", "dpo", "kto", "reward"),
    *("orm", "prm", "grpo", "rollouts", "acecoder", "cure"),
)
"""Training data, one folder each; columns as TRL 1.16 takes them."""
FORMATS = (*KINDS, "atif", "preds")

Only = Literal["resolved", "verified", "unfailed", "all"]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Filters and layout. The same options, input and seed give the same bytes."""

    only: Only = "unfailed"
    """Which finished paths may be imitated: those a hidden evaluation resolved, those whose executed tests
    pass, those that no test speaks against, or all. For the kinds that learn from contrast it says which labels count: `resolved` takes hidden
    evaluations only."""
    reward: RewardSpec | RewardFunction = field(default_factory=RewardSpec)
    """The one reward: of every exported kind, as `swe-agent reward` computes it."""
    min_reward: float | None = None
    min_margin: float = 0.05
    """The least difference of rewards that makes a pair; smaller ones are noise of the clock."""
    max_growth: float = 1.0
    """Of kinds whose rows repeat one another's prompts (sft_pc, dpo, kto, reward): how large the conversations in the
    rows of a run may be together, as a multiple of its record; 0: all rows."""
    max_per_instance: int | None = None
    max_tokens: int | None = None
    """Longest row, in tokens as the endpoint counted them, else estimated from the text."""
    split: float = 0.0
    """Share of the instances that goes to test.jsonl, by a hash of the instance id."""
    seed: int = 0
    include_offline: bool = False
    allow_benchmark: bool = False

    def to_json(self) -> dict[str, object]:
        return {
            "only": self.only,
            "reward": self.reward.name,
            "min_margin": self.min_margin,
            "min_reward": self.min_reward,
            "max_growth": self.max_growth,
            "max_per_instance": self.max_per_instance,
            "max_tokens": self.max_tokens,
            "split": self.split,
            "include_offline": self.include_offline,
            "allow_benchmark": self.allow_benchmark,
        }


@dataclass(slots=True)
class Tally:
    """Rows dropped, by reason, of one kind."""

    reasons: Counter[str] = field(default_factory=Counter[str])
    seen: set[bytes] = field(default_factory=set[bytes])
    """Digests of the candidates that gave a row already, over all records."""

    def first(self, *key: str) -> bool:
        """Whether this key comes for the first time."""
        digest = hashlib.sha256("\0".join(key).encode("utf-8", "backslashreplace")).digest()[:12]
        if digest in self.seen:
            return False
        self.seen.add(digest)
        return True

    def drop(self, reason: str, count: int = 1) -> None:
        self.reasons[reason] += count

    def to_json(self) -> dict[str, int]:
        return dict(sorted(self.reasons.items()))
