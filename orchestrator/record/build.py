"""build_record: the canonical record of a run, from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...agents.models.prompt_digest import canonical
from ...tools.errors import RecordError
from .event import Line
from .fold import Fold
from .graph import chains, wire
from .handlers import HANDLERS
from .invariants import check
from .log import read_events, torn_bytes
from .schema import Component, Node, Trajectory


def build_run(run: Path) -> Trajectory:
    """The record of a run directory's `events.jsonl`, a cut-off last event named in `losses`.
    Raises: RecordError when the log is damaged or breaks an invariant."""
    path = run / "events.jsonl"
    losses = [f"events.jsonl: the last event is cut off ({torn} bytes)"] if (torn := torn_bytes(path)) else []
    return build_record(read_events(path), losses=losses)


def build_record(events: Iterable[Line], *, losses: Iterable[str] = ()) -> Trajectory:
    """Fold events into a checked record. Works for a run that is not over: what has not happened is null.
    Raises: RecordError naming the event that does not fit, or the invariant that is broken."""
    fold = Fold(list(losses))
    for number, event in enumerate(events):
        handler = HANDLERS.get(event["type"])
        if handler is not None:
            try:
                handler(fold, event)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                where = f"event {event.get('seq', number)} ({event['type']})"
                raise RecordError(f"{where} is malformed: {type(error).__name__}: {error}") from error
        fold.last_at = event.get("at", fold.last_at)
    record = validated(fold.data())
    backpropagate(record.nodes)
    _forget_masked_prompts(record)
    check(record)
    return record


def _forget_masked_prompts(record: Trajectory) -> None:
    """The log holds a mask where the model itself said a secret; such a prompt cannot be checked any more."""
    chain = chains(record.messages)
    masked: dict[str | None, bool] = {None: False}
    parents: dict[str, str | None] = {}
    for message in record.messages:
        masked[message.id] = masked[message.parent] or b"[masked:" in canonical(wire(message))
        parents[message.id] = message.parent
    for call in record.calls:
        above = parents[call.message]
        if call.prompt_sha256 is None or above is None or not masked[above]:
            continue
        if chain[above].hex() != call.prompt_sha256:
            call.prompt_sha256 = None
            record.losses.append(f"the prompt of {call.message} held a secret and cannot be checked")


def validated(data: Any) -> Trajectory:
    """`data` as a record, shape only. Raises: RecordError naming the first field that is wrong."""
    try:
        return Trajectory.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RecordError(f"invariant schema: {where}: {first['msg']}") from error


def backpropagate(nodes: list[Node]) -> None:
    """Fill visits and value where the search did not report them, from measured descendants only."""
    measured: dict[str, list[float]] = {node.id: [] for node in nodes}
    for node in reversed(nodes):
        own = measured[node.id]
        if node.reward is not None and node.reward.total is not None:
            own.append(node.reward.total)
        if node.parent in measured:
            measured[node.parent].extend(own)
    for node in nodes:
        values = measured[node.id]
        if node.visits is None:
            node.visits = len(values)
        if node.value is None and values:
            node.value = sum(values) / len(values)


def reward_total(components: Mapping[str, Component]) -> float | None:
    """Sum of weight times value over the measured components; null when none was measured."""
    measured = [part.value * part.weight for part in components.values() if part.value is not None]
    return sum(measured) if measured else None
