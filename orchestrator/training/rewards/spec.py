"""RewardSpec: which reward is computed, from a TOML or JSON file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ....tools.errors import UsageError
from ....tools.files import reason_of


class RewardWeights(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tests: float = Field(default=1.0, ge=0)
    coverage: float = Field(default=0.2, ge=0)
    lint: float = Field(default=0.05, ge=0)
    time: float = Field(default=0.1, ge=0)


class RewardSpec(BaseModel):
    """`R = tests * pass rate + coverage * change of coverage - lint * min(1, new findings / lint_scale)
    - time * min(1, wall / wall_limit_s)`, capped at 0 by the gates."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = "shaped/1"
    weights: RewardWeights = Field(default_factory=RewardWeights)
    lint_scale: float = Field(default=10.0, gt=0)
    wall_limit_s: float = Field(default=1800.0, gt=0)
    tests: Literal["best", "hidden", "executed"] = "best"
    """Which tests count: hidden ones, those the run executed itself, or hidden before executed."""
    gates: tuple[Literal["regression", "protected", "leak"], ...] = ("regression", "protected", "leak")

    @classmethod
    def load(cls, path: Path) -> RewardSpec:
        """Raises: UsageError naming the field that is wrong."""
        try:
            text = path.read_text(encoding="utf-8")
            data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read the reward spec {path}: {reason_of(error)}") from error
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"reward spec {path}: {where}: {first['msg']}") from error
