"""TrainedVerifier: a small calibrated model as plain JSON, which is read and evaluated without running code of it."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean, pstdev
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...tools.errors import UsageError
from ...tools.files import reason_of
from ..search.node import VerifierScore
from .case import Case
from .features import NAMES, columns, features

SCHEMA = "swe-verifier/1"
MOST_BYTES = 1_000_000
WIDTH = 2 * len(NAMES)
Row = Annotated[tuple[float, ...], Field(min_length=WIDTH, max_length=WIDTH)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Member(_Data):
    """A logistic model of the columns, and Platt's calibration of its logit."""

    weights: Row
    bias: float
    slope: float
    offset: float

    def probability(self, row: list[float]) -> float:
        logit = self.bias + sum(w * x for w, x in zip(self.weights, row, strict=True))
        return _sigmoid(self.slope * logit + self.offset)


class HeldOutQuality(_Data):
    """Of predictions for instances that the member did not see."""

    rows: int
    instances: int
    right: int
    brier: float
    brier_of_rate: float
    """Of always saying the share of right candidates: what a verifier must beat."""
    calibration_error: float
    auc: float


class TrainedVerifier(_Data):
    """An ensemble over folds of instances. It abstains outside of what it was trained on, and where its members
    disagree."""

    schema_: Literal["swe-verifier/1"] = Field(alias="schema")
    name: str
    features: tuple[str, ...]
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=100)]
    least: Row
    """Of each column in training."""
    most: Row
    disagreement: float
    """Standard deviation of the members' probabilities from which it abstains."""
    quality: HeldOutQuality

    @model_validator(mode="after")
    def _ours(self) -> TrainedVerifier:
        if self.features != NAMES:
            raise ValueError(
                f"its features are not those of this version ({', '.join(NAMES)}): train it again"
            )
        return self

    async def score(self, case: Case) -> VerifierScore:
        return self.judge(columns(features(case.evaluation, case.patch)))

    def judge(self, row: list[float]) -> VerifierScore:
        """Of one candidate's columns."""
        for place, (low, value, high) in enumerate(zip(self.least, row, self.most, strict=True)):
            if not low - 1e-9 <= value <= high + 1e-9:
                return VerifierScore(
                    self.name, why=f"{NAMES[place // 2]} is outside of what it was trained on"
                )
        said = [member.probability(row) for member in self.members]
        spread = pstdev(said)
        if spread > self.disagreement:
            return VerifierScore(self.name, sd=round(spread, 6), why="its members disagree")
        return VerifierScore(self.name, round(fmean(said), 6), round(spread, 6))


def _sigmoid(logit: float) -> float:
    """Of any finite number, without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-min(logit, 700.0)))
    return math.exp(max(logit, -700.0)) / (1 + math.exp(max(logit, -700.0)))


def read_trained(path: Path) -> TrainedVerifier:
    """Raises: UsageError, one line that says what is wrong with the file."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is no verifier: it is larger than {MOST_BYTES // 1_000_000} MB")
        return TrainedVerifier.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise UsageError(
            f"{path} is no verifier of `swe-agent train verifier` ({where + ': ' if where else ''}{fault['msg']})"
        ) from error
