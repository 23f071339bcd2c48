"""RewardFunction: a reward of one's own in Python, `--reward FILE.py:FUNCTION`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path
from typing import cast

from ....tools.errors import UsageError
from ....tools.plugins import installed, load
from ...record.build import reward_total
from ...record.schema import Component, Reward
from .shaped import Measurements
from .spec import RewardSpec

Answer = float | Mapping[str, float | None] | None


@dataclass(frozen=True, slots=True)
class RewardFunction:
    """`function(measured: Measurements)` returns a number, components by name (their sum is the reward), or
    None for a candidate that it does not judge. The gates are its own affair."""

    name: str
    function: Callable[[Measurements], Answer]

    def reward(self, measured: Measurements) -> Reward:
        """Raises: UsageError naming the function when it fails or answers something else."""
        try:
            answer = self.function(measured)
        except Exception as error:  # it is the caller's code
            raise UsageError(f"the reward {self.name} failed: {type(error).__name__}: {error}") from error
        parts = answer if isinstance(answer, Mapping) else {"reward": answer}
        components: dict[str, Component] = {}
        for name, value in parts.items():
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
            ):
                raise UsageError(f"the reward {self.name} answered {value!r} for {name}: a number or None")
            components[str(name)] = Component(value=None if value is None else float(value), weight=1.0)
        return Reward(total=reward_total(components), components=components, spec=self.name)


def load_reward(text: str) -> RewardSpec | RewardFunction:
    """A specification (`FILE.toml`, `FILE.json`), a function (`FILE.py:FUNCTION`) or the name that an installed
    package offers. The file is run: it is the caller's own code. Raises: UsageError."""
    if text in installed("rewards"):
        return RewardFunction(text, load("rewards", text))
    path, colon, name = text.rpartition(":")
    if not (colon and path.endswith(".py")):
        if text.endswith(".py"):
            raise UsageError(f"name the function: --reward {text}:FUNCTION")
        if not (Path(text).suffix or Path(text).exists()):
            known = ", ".join(sorted(installed("rewards"))) or "none"
            raise UsageError(
                f"--reward {text}: no such file, and no installed package offers it (there is: {known})"
            )
        return RewardSpec.load(Path(text))
    if not Path(path).is_file():
        raise UsageError(f"no file {path}")
    try:
        found = run_path(path).get(name)
    except Exception as error:  # it is the caller's code
        raise UsageError(f"cannot run {path}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise UsageError(f"{path} has no function {name}")
    return RewardFunction(text, cast(Callable[[Measurements], Answer], found))
