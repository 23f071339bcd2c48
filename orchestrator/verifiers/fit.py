"""fit: a TrainedVerifier from recorded runs whose candidates have a verdict; needs scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ...tools.errors import UsageError
from ..record.schema import Trajectory
from .features import NAMES, columns, recorded_features
from .trained import SCHEMA, WIDTH, HeldOutQuality, Member, TrainedVerifier

LEAST_ROWS = 20
LEAST_OF_A_CLASS = 5
FOLDS = 5
_FREEDOM = 0.5
"""How far beyond the range of a column in training, in ranges, a value may lie before the verifier abstains."""


@dataclass(frozen=True, slots=True)
class Example:
    """One candidate. `right` is a hidden verdict: what the run's own tests say is what is learned from, not the aim."""

    instance: str
    row: tuple[float, ...]
    right: bool


def examples(records: Iterable[Trajectory], resolved: Mapping[str, bool] | None = None) -> Iterator[Example]:
    """Of the distinct candidates with a verdict: a hidden evaluation of theirs, or `resolved` (instance → verdict of a
    report) for the one that the run selected."""
    for record in records:
        seen: set[str] = set()
        for node in record.nodes:
            given = recorded_features(record, node) if node.terminal else None
            if given is None or node.exit_status == "infrastructure" or node.duplicate_of is not None:
                continue
            right = _hidden(record, node.id)
            if right is None and record.selected is not None and record.selected.node == node.id:
                right = (resolved or {}).get(record.task.instance_id)
            key = node.patch or node.id
            if right is not None and key not in seen:
                seen.add(key)
                yield Example(record.task.instance_id, tuple(columns(given)), right)


def _hidden(record: Trajectory, node: str) -> bool | None:
    found = [one for one in record.evaluations if one.kind == "hidden" and one.node == node and one.valid]
    counts = [pair for pair in (found[-1].f2p, found[-1].p2p) if pair is not None] if found else []
    return all(passed == total for passed, total in counts) if counts else None


def fit(rows: Sequence[Example], name: str, *, seed: int = 0) -> TrainedVerifier:
    """An ensemble of logistic models, one per fold of instances, each calibrated (Platt) on what the others say of the
    instances that they did not see. Raises: UsageError for too few rows, or without scikit-learn."""
    right = sum(row.right for row in rows)
    instances = len({row.instance for row in rows})
    if len(rows) < LEAST_ROWS or min(right, len(rows) - right) < LEAST_OF_A_CLASS or instances < FOLDS:
        raise UsageError(
            f"{len(rows)} candidates with a verdict ({right} right) of {instances} instances are too few: "
            f"{LEAST_ROWS} are needed, {LEAST_OF_A_CLASS} of each kind, of {FOLDS} instances (verdicts: --report)"
        )
    folds = _folds(rows, seed)
    logits = [0.0] * len(rows)
    raw: list[tuple[list[float], float]] = []
    for fold in range(FOLDS):
        weights, bias = _logistic([row for row, place in zip(rows, folds, strict=True) if place != fold])
        raw.append((weights, bias))
        for number, place in enumerate(folds):
            if place == fold:
                logits[number] = bias + sum(w * x for w, x in zip(weights, rows[number].row, strict=True))
    slope, offset = _platt(logits, [row.right for row in rows])
    members = tuple(Member(weights=tuple(w), bias=b, slope=slope, offset=offset) for w, b in raw)
    held_out = [1 / (1 + math.exp(-max(-700.0, min(700.0, slope * logit + offset)))) for logit in logits]
    spans = [[row.row[column] for row in rows] for column in range(WIDTH)]
    return TrainedVerifier(
        schema=SCHEMA,
        name=name,
        features=NAMES,
        members=members,
        least=tuple(min(span) - _FREEDOM * (max(span) - min(span)) for span in spans),
        most=tuple(max(span) + _FREEDOM * (max(span) - min(span)) for span in spans),
        disagreement=0.15,
        quality=_quality(rows, held_out, instances),
    )


def _folds(rows: Sequence[Example], seed: int) -> list[int]:
    """The fold of each row: instances stay together, and both kinds are in every fold where there are enough."""
    splitter = _learn("model_selection").StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=seed)
    groups, labels = [row.instance for row in rows], [row.right for row in rows]
    places = [0] * len(rows)
    for fold, (_, held) in enumerate(splitter.split([row.row for row in rows], labels, groups)):
        for number in held:
            places[int(number)] = fold
    return places


def _logistic(rows: Sequence[Example]) -> tuple[list[float], float]:
    """Weights and bias in the units of the columns. Raises: UsageError when the rows are of one kind."""
    if len({row.right for row in rows}) < 2:
        raise UsageError("all verdicts but those of a fold are alike: there is nothing to tell apart")
    scaler = _learn("preprocessing").StandardScaler()
    scaled = scaler.fit_transform([row.row for row in rows])
    model = _learn("linear_model").LogisticRegression(C=1.0, max_iter=1000)
    model.fit(scaled, [row.right for row in rows])
    scales = [float(scale) for scale in scaler.scale_]
    weights = [float(weight) / scale for weight, scale in zip(model.coef_[0], scales, strict=True)]
    shift = sum(weight * float(mean) for weight, mean in zip(weights, scaler.mean_, strict=True))
    return weights, float(model.intercept_[0]) - shift


def _platt(logits: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Slope and offset of the calibrated logit, from logits of rows that the model did not see; a slope below 0 (it is
    wrong more often than right there) is none: the share of right candidates is then all that is known."""
    model = _learn("linear_model").LogisticRegression(C=1e3, max_iter=1000)
    model.fit([[logit] for logit in logits], right)
    slope, offset = float(model.coef_[0][0]), float(model.intercept_[0])
    if slope > 0:
        return slope, offset
    share = fmean(right)
    return 0.0, math.log(share / (1 - share))


def _quality(rows: Sequence[Example], said: Sequence[float], instances: int) -> HeldOutQuality:
    """Of predictions for held-out instances."""
    right = [row.right for row in rows]
    rate = fmean(right)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for p, good in zip(said, right, strict=True):
        bins.setdefault(min(4, int(p * 5)), []).append((p, good))
    error = sum(
        abs(fmean(p for p, _ in part) - fmean(good for _, good in part)) * len(part) for part in bins.values()
    )
    return HeldOutQuality(
        rows=len(rows),
        instances=instances,
        right=sum(right),
        brier=round(fmean((p - good) ** 2 for p, good in zip(said, right, strict=True)), 4),
        brier_of_rate=round(rate * (1 - rate), 4),
        calibration_error=round(error / len(rows), 4),
        auc=round(float(_learn("metrics").roc_auc_score(right, said)), 4),
    )


def _learn(module: str) -> Any:
    """A module of scikit-learn. Raises: UsageError where it is not installed."""
    from importlib import import_module

    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise UsageError("train verifier needs scikit-learn: pip install 'swe-agent[verifier]'") from error
