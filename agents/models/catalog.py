"""Catalog: prices, context windows and providers from the JSON file that litellm ships.

The file is read as package data; litellm itself is never imported here. A model that the file does not
know has an unknown price (None), never a price of zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from .calls import Usage

_FILE = "model_prices_and_context_window_backup.json"
_LONG_PROMPT = 200_000


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model; None is unknown. Prices are dollars per token."""

    context_window: int | None = None
    max_output_tokens: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    cache_read_price: float | None = None
    cache_write_price: float | None = None
    long_input_price: float | None = None
    long_output_price: float | None = None
    vision: bool | None = None
    tools: bool | None = None
    reasoning: bool | None = None

    def cost(self, usage: Usage, cache_write_tokens: int | None = None) -> float | None:
        """Dollars of one call; None when the price or the usage is unknown.

        Cached and cache-writing tokens are part of `prompt_tokens` (OpenAI's convention) and are billed at
        their own prices; prompts above 200,000 tokens at the higher ones where the provider has them.
        """
        if self.input_price is None or self.output_price is None:
            return None
        if usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        long = usage.prompt_tokens > _LONG_PROMPT
        price_in = self.long_input_price if long and self.long_input_price is not None else self.input_price
        price_out = (
            self.long_output_price if long and self.long_output_price is not None else self.output_price
        )
        scale = price_in / self.input_price if self.input_price else 1.0
        cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
        written = min(cache_write_tokens or 0, usage.prompt_tokens - cached)
        read_price = self.input_price if self.cache_read_price is None else self.cache_read_price
        write_price = self.input_price if self.cache_write_price is None else self.cache_write_price
        fresh = usage.prompt_tokens - cached - written
        total = fresh * price_in + (cached * read_price + written * write_price) * scale
        return total + usage.completion_tokens * price_out

    @property
    def priced(self) -> bool:
        return self.input_price is not None and self.output_price is not None


UNKNOWN = ModelFacts()


def facts_of(model: str) -> ModelFacts:
    """What the catalog knows of `model`, by its full name, or without its provider when that is the same one
    (`hosted_vllm/gpt-4o` is not OpenAI's gpt-4o)."""
    entries = _entries()
    entry = entries.get(model)
    if entry is None and "/" in model:
        provider, _, name = model.partition("/")
        candidate = entries.get(name)
        if candidate is not None and str(candidate.get("litellm_provider", "")).startswith(provider):
            entry = candidate
    return UNKNOWN if entry is None else _facts(entry)


def known_providers() -> frozenset[str]:
    """Provider prefixes that litellm's file speaks of."""
    return _providers()


@lru_cache(maxsize=1)
def _providers() -> frozenset[str]:
    names: set[str] = set()
    for model, entry in _entries().items():
        provider = entry.get("litellm_provider")
        if isinstance(provider, str):
            names.add(provider.split("-")[0] if provider.startswith("vertex_ai") else provider)
        if "/" in model:
            names.add(model.split("/", 1)[0])
    return frozenset(names)


@lru_cache(maxsize=1)
def _entries() -> Mapping[str, Mapping[str, object]]:
    spec = find_spec("litellm")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / _FILE
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        return {
            name: entry for name, entry in found.items() if isinstance(entry, dict) and name != "sample_spec"
        }
    return {}


def _facts(entry: Mapping[str, object]) -> ModelFacts:
    def number(key: str) -> float | None:
        value = entry.get(key)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def whole(key: str) -> int | None:
        value = number(key)
        return int(value) if value else None

    def flag(key: str) -> bool | None:
        value = entry.get(key)
        return value if isinstance(value, bool) else None

    return ModelFacts(
        context_window=whole("max_input_tokens") or whole("max_tokens"),
        max_output_tokens=whole("max_output_tokens"),
        input_price=number("input_cost_per_token"),
        output_price=number("output_cost_per_token"),
        cache_read_price=number("cache_read_input_token_cost"),
        cache_write_price=number("cache_creation_input_token_cost"),
        long_input_price=number("input_cost_per_token_above_200k_tokens"),
        long_output_price=number("output_cost_per_token_above_200k_tokens"),
        vision=flag("supports_vision"),
        tools=flag("supports_function_calling"),
        reasoning=flag("supports_reasoning"),
    )
