"""read_files: foreign trajectories as records, by what the files hold and not by what they are called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....tools.errors import RecordError
from ....tools.files import reason_of
from ...record.schema import Trajectory
from .atif import from_atif, is_atif
from .merge import record_of
from .openhands import from_openhands, is_openhands
from .swe_agent_traj import from_mini, from_traj, is_mini, is_traj
from .transcript import Object, Transcript
from .verdicts import Verdicts, trial_of

FORMATS: Sequence[tuple[str, Callable[[Object], bool], Callable[[Object, str], Transcript]]] = (
    ("ATIF", is_atif, from_atif),
    ("SWE-agent .traj", is_traj, from_traj),
    ("mini-swe-agent .traj.json", is_mini, from_mini),
    ("OpenHands output.jsonl", is_openhands, from_openhands),
)


def read_files(
    files: Sequence[Path],
    verdicts: Verdicts | None = None,
    *,
    on_doubt: Callable[[str], None] | None = None,
    on_silence: Callable[[str], None] | None = None,
) -> Iterator[Trajectory]:
    """One record per instance, in order of its first file. `on_doubt` hears of instances whose verdict is not given,
    because it is not said to which of several trajectories it belongs; `on_silence` of each trajectory that is left
    out because no model answered in it, which says something of its infrastructure alone.
    Raises: RecordError naming the file and what is wrong with it, or that no model answered in any."""
    verdicts = verdicts or Verdicts()
    by_instance: dict[str, list[Transcript]] = {}
    silent: list[str] = []
    for file in files:
        trial = trial_of(file)
        for where, talk in conversations(file):
            if not any(message.sampled for message in talk.messages):
                silent.append(where)
                continue
            if trial is not None and talk.format == "atif":
                own = talk.resolved if talk.resolved is not None else trial.resolved
                talk = replace(talk, instance=trial.task if talk.unnamed else talk.instance, resolved=own)
            if talk.resolved is None:
                talk = replace(talk, resolved=verdicts.of(file, talk.instance))
            by_instance.setdefault(talk.instance, []).append(talk)
    if silent and not by_instance:
        raise RecordError(f"{silent[0]} holds no message that a model sampled")
    if on_silence is not None:
        for where in silent:
            on_silence(where)
    for instance, talks in by_instance.items():
        rest = [talk for talk in talks if talk.resolved is None]
        said = verdicts.of_others.get(instance)
        if said is not None and len(rest) > 1 and on_doubt is not None:
            on_doubt(instance)
        yield record_of(talks, said if len(rest) == 1 else None)


def conversations(file: Path) -> Iterator[tuple[str, Transcript]]:
    """The trajectories of one file, which holds one JSON value or one on each line, and where each is."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{file} cannot be read: {reason_of(error)}") from error
    name = _called(file)
    empty = True
    for where, data in _values(file, text):
        empty = False
        found = next((reader for _, knows, reader in FORMATS if isinstance(data, dict) and knows(data)), None)
        if found is None:
            raise RecordError(f"{where} is no trajectory of {', '.join(label for label, _, _ in FORMATS)}")
        try:
            talk = found(data, name)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise RecordError(f"{where} is malformed: {type(error).__name__}: {error}") from error
        yield where, talk
    if empty:
        raise RecordError(f"{file} is empty")


def _called(file: Path) -> str:
    """By what a file is told apart that does not say its instance; Harbor calls each `agent/trajectory.json`."""
    name = file.name.split(".traj")[0].removesuffix(".json").removesuffix(".jsonl")
    if name != "trajectory":
        return name
    above = file.resolve().parent
    return (above.parent if above.name == "agent" else above).name or name


def _values(file: Path, text: str) -> Iterator[tuple[str, Any]]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, list) and (one := _one(whole, file)) is not None:
        yield str(file), one
        return
    if whole is not None:
        for number, item in enumerate(whole if isinstance(whole, list) else [whole]):
            yield (f"{file}: item {number + 1}" if isinstance(whole, list) else str(file)), item
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield f"{file}: line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RecordError(f"{file}: line {number} is not JSON: {error}") from error


def _one(items: list[Any], file: Path) -> Object | None:
    """A list that is one trajectory: the messages of mini-swe-agent 1, or the events that OpenHands saves."""
    if not all(isinstance(item, dict) for item in items):
        return None
    if all("role" in item for item in items):
        return {"messages": items, "info": {}}
    if all({"action", "observation", "kind"} & item.keys() for item in items):
        return {"instance_id": file.name.split(".")[0], "history": items}
    return None
