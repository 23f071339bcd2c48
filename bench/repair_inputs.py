"""Random inputs for a differential check: mutations of known argument lists that keep what all of those
have in common (signs, order, distinct elements, equal lengths, bounds between arguments)."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

Arguments = tuple[Any, ...]


class Inputs:
    """Generator of argument lists, by example."""

    def __init__(self, known: Sequence[Arguments], seed: int) -> None:
        self.known = [arguments for arguments in known if len(arguments) == len(known[0])]
        self.random = random.Random(seed)
        self.pools: list[dict[str, list[Any]]] = []
        self.rules: list[Callable[[Any], Any]] = []
        for position in range(len(self.known[0])):
            column = [arguments[position] for arguments in self.known]
            pool: dict[str, list[Any]] = {"int": [], "float": [], "str": [], "chars": []}
            for value in column:
                self._collect(value, pool)
            self.pools.append(pool)
            self.rules.append(self._rule(column))

    def draw(self) -> Arguments:
        for _ in range(50):
            arguments = copy.deepcopy(self.random.choice(self.known))
            changes = self.random.choice((1, 1, 2, len(arguments)))
            fresh = list(arguments)
            for position in self.random.sample(range(len(fresh)), min(changes, len(fresh))):
                for _ in range(self.random.choice((1, 1, 2, 4))):
                    fresh[position] = self._mutate(fresh[position], self.pools[position])
                fresh[position] = self.rules[position](fresh[position])
            if self._kept(fresh):
                return tuple(fresh)
        return copy.deepcopy(self.random.choice(self.known))

    def _collect(self, value: Any, pool: dict[str, list[Any]]) -> None:
        if isinstance(value, bool) or value is None:
            return
        if isinstance(value, (int, float)):
            pool["int" if isinstance(value, int) else "float"].append(value)
        elif isinstance(value, str):
            pool["str"].append(value)
            pool["chars"] += list(value)
        elif isinstance(value, dict):
            for key, inner in value.items():
                self._collect(key, pool)
                self._collect(inner, pool)
        elif isinstance(value, (list, tuple, set)):
            for inner in value:
                self._collect(inner, pool)

    def _mutate(self, value: Any, pool: dict[str, list[Any]]) -> Any:
        rng = self.random
        if isinstance(value, bool):
            return rng.random() < 0.5
        if isinstance(value, int):
            numbers = pool["int"] or [value]
            low, high = min(numbers), max(numbers)
            choice = rng.randrange(4)
            if choice == 0:
                return value + rng.choice((-2, -1, 1, 2))
            if choice == 1:
                return rng.choice(numbers)
            return (
                rng.randint(low, high + max(2, (high - low) // 4)) if choice == 2 else rng.randint(low, high)
            )
        if isinstance(value, float):
            numbers = pool["float"] or [value]
            return round(rng.choice((value + rng.uniform(-2, 2), rng.uniform(min(numbers), max(numbers)))), 2)
        if isinstance(value, str):
            return self._text(value, pool)
        if isinstance(value, (list, tuple)):
            return type(value)(self._items(list(value), pool))
        if isinstance(value, dict):
            return self._table(value, pool)
        return value

    def _text(self, value: str, pool: dict[str, list[Any]]) -> str:
        rng = self.random
        chars = pool["chars"] or list("abc ")
        choice = rng.randrange(6)
        at = rng.randint(0, len(value))
        if choice == 0:
            return value[:at] + rng.choice(chars) + value[at:]
        if choice == 1:
            return value[:at] + value[at + 1 :]
        if choice == 2 and value:
            at = rng.randrange(len(value))
            return value[:at] + rng.choice(chars) + value[at + 1 :]
        if choice == 3:
            return "".join(rng.choice(chars) for _ in range(rng.randint(0, 12)))
        if choice == 4:
            return (
                rng.choice(pool["str"])[:40] if rng.random() < 0.5 else (value + rng.choice(pool["str"]))[:60]
            )
        return "".join(rng.sample(value, len(value))) if len(value) < 60 else value

    def _items(self, items: list[Any], pool: dict[str, list[Any]]) -> list[Any]:
        rng = self.random
        choice = rng.randrange(6)
        if not items:
            return items
        at = rng.randrange(len(items))
        if choice == 0:
            items.insert(at, self._mutate(copy.deepcopy(items[at]), pool))
        elif choice == 1:
            items.pop(at)
        elif choice == 2:
            rng.shuffle(items)
        elif choice == 3 and len(items) > 1:
            items[at] = copy.deepcopy(items[rng.randrange(len(items))])
        else:
            items[at] = self._mutate(items[at], pool)
        return items

    def _table(self, value: dict[Any, Any], pool: dict[str, list[Any]]) -> dict[Any, Any]:
        """One entry dropped, given another key or another value, or a new one."""
        rng = self.random
        items = list(value.items())
        if not items:
            return value
        at = rng.randrange(len(items))
        key, inner = items[at]
        choice = rng.randrange(4)
        if choice == 0:
            items.pop(at)
        elif choice == 1:
            items[at] = (key, self._mutate(inner, pool))
        else:
            fresh = self._mutate(key, pool)
            items[at : at + (choice == 2)] = [(fresh, inner)]
        return dict(items)

    def _rule(self, column: Sequence[Any]) -> Callable[[Any], Any]:
        """What every known value of one argument obeys, restored after a mutation."""
        if all(isinstance(v, int) and not isinstance(v, bool) for v in column):
            low = min(column)
            return (lambda v: max(v, min(low, 1))) if low >= 0 else (lambda v: v)
        if all(isinstance(v, (list, tuple)) for v in column):
            long = [v for v in column if len(v) > 1]
            ordered = bool(long) and all(_is_sorted(v) for v in long)
            distinct = bool(long) and all(_is_distinct(v) for v in long)
            signs = [x for v in column for x in v if isinstance(x, (int, float)) and not isinstance(x, bool)]
            low = min(signs) if signs else None
            filled = all(column)

            def restore(value: Any) -> Any:
                items = list(value)
                if low is not None and low >= 0:
                    items = [max(x, min(low, 1)) if isinstance(x, (int, float)) else x for x in items]
                if distinct:
                    items = [x for i, x in enumerate(items) if x not in items[:i]]
                if ordered:
                    items = sorted(items)
                if filled and not items:
                    items = list(self.random.choice(column))
                return type(value)(items)

            return restore
        return lambda v: v

    def _kept(self, fresh: Sequence[Any]) -> bool:
        """Whether relations between arguments that all known lists obey still hold."""
        for i, one in enumerate(fresh):
            for j, two in enumerate(fresh):
                if i == j:
                    continue
                for relation in (_same_length, _below_length, _bounds_items, _less):
                    if relation(one, two) is False and all(relation(k[i], k[j]) is True for k in self.known):
                        return False
        return True


def _is_sorted(value: Sequence[Any]) -> bool:
    try:
        return all(a <= b for a, b in pairwise(value))
    except TypeError:
        return False


def _is_distinct(value: Sequence[Any]) -> bool:
    return all(x not in value[:i] for i, x in enumerate(value))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same_length(one: Any, two: Any) -> bool | None:
    if isinstance(one, (list, str)) and type(one) is type(two):
        return len(one) == len(two)
    return None


def _below_length(one: Any, two: Any) -> bool | None:
    return one <= len(two) if _number(one) and isinstance(two, (list, str)) else None


def _bounds_items(one: Any, two: Any) -> bool | None:
    if _number(one) and isinstance(two, list) and all(_number(x) for x in two):
        return all(x < one for x in two)
    return None


def _less(one: Any, two: Any) -> bool | None:
    return one <= two if _number(one) and _number(two) else None
