"""TokenLedger: turns the whole token ids that an endpoint reports into the deltas that the record keeps."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence

from .draft import TokensDraft


class TokenLedger:
    """Knows how long the ids up to each sampled message are, and their digest; never the ids themselves."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[int, bytes]] = {}
        self._above: dict[str, str | None] = {}
        self._tips: dict[str, str] = {}

    def said(self, message: str, parent: str | None, *, sampled: bool) -> None:
        """Hear of every message of the run. Ids are `<scope>:<rest>`."""
        self._above[message] = message if sampled else self._above.get(parent or "")
        self._tips[message.rpartition(":")[0]] = message

    def above(self, scope: str) -> str | None:
        """The last sampled message of the path that the scope's next call goes on from."""
        return self._above.get(self._tips.get(scope, ""))

    def tokens(
        self,
        message: str,
        above: str | None,
        prompt_ids: Sequence[int] | None,
        sampled_ids: Sequence[int] | None,
        logprobs: Sequence[float] | None = None,
        tokenizer: str | None = None,
    ) -> TokensDraft | None:
        """The `tokens` field of a sampled message, or None where the endpoint reported no ids.

        `above` is the previous sampled message of the path. Where the prompt does not go on from its ids
        (the template rewrote the past), the whole prompt is kept as `context_ids`."""
        if prompt_ids is None or sampled_ids is None:
            return None
        length, digest = self._ends.get(above or "", (0, _digest(())))
        goes_on = length <= len(prompt_ids) and _digest(prompt_ids[:length]) == digest
        known = above is None or above in self._ends
        between = list(prompt_ids[length:]) if goes_on and known else []
        whole = [*prompt_ids, *sampled_ids]
        self._ends[message] = (len(whole), _digest(whole))
        return {
            "tokenizer": tokenizer,
            "token_ids": [*between, *sampled_ids],
            "mask": [0] * len(between) + [1] * len(sampled_ids),
            "logprobs": list(logprobs) if logprobs is not None else None,
            "context_ids": None if goes_on and known else list(prompt_ids),
        }


def _digest(ids: Sequence[int]) -> bytes:
    return hashlib.sha256(array("q", ids).tobytes()).digest()
