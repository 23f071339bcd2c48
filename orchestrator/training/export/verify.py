"""verify: re-check an export directory without any training library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ....tools.errors import ExportError, RecordError
from ...record.trajectory_file import load
from .export import EXPORT_SCHEMA, MANIFEST
from .manifest import FileEntry, Manifest
from .redact import Redactor
from .row_shapes import (
    AcecoderRow,
    CompletionRow,
    CureRow,
    DpoRow,
    GrpoRow,
    KtoRow,
    OrmRow,
    PredictionRow,
    PrmRow,
    RewardRow,
    RolloutRow,
    SftRow,
    TokenRow,
    WithTools,
)

PROBLEMS = 20
"""Problems named before the rest is only counted."""


def verify(folder: Path) -> dict[str, int]:
    """File → rows, when all is well. Raises: ExportError naming what does not hold."""
    manifest = _manifest(folder)
    problems = list(_problems(folder, manifest))
    if problems:
        more = f" (and {len(problems) - PROBLEMS} more)" if len(problems) > PROBLEMS else ""
        raise ExportError(f"{folder} does not verify: {'; '.join(problems[:PROBLEMS])}{more}")
    return {name: file["rows"] for name, file in manifest["files"].items()}


def _manifest(folder: Path) -> Manifest:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExportError(f"{folder} is not an export: it has no {MANIFEST}") from error
    except ValueError as error:
        raise ExportError(f"{folder / MANIFEST} is not JSON: {error}") from error
    if manifest.get("schema") != EXPORT_SCHEMA:
        raise ExportError(
            f"{folder / MANIFEST} has the schema {manifest.get('schema')!r}, not {EXPORT_SCHEMA}"
        )
    return manifest


def _problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    for name, file in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
            continue
        yield from _file(name, path, file)
    known = {folder / name for name in manifest["files"]}
    for path in sorted(folder.glob("*/*.jsonl")):
        if path not in known and not path.parent.name.startswith("for-"):
            yield f"{path.relative_to(folder)} is not in the manifest"


def _file(name: str, path: Path, file: FileEntry) -> Iterator[str]:
    digest = hashlib.sha256()
    rows = 0
    kind = name.split("/")[0]
    redactor = Redactor({})
    labels = set[bool]()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            digest.update(line)
            if name == "preds/preds.json":
                continue
            rows += 1
            try:
                row = json.loads(line)
            except ValueError:
                yield f"{name} line {number} is not JSON"
                continue
            if name == "trajectories.jsonl":
                try:
                    load(line)
                except RecordError as error:
                    yield f"{name} line {number}: {error}"
            elif kind != "atif" and list(row) != file["columns"]:
                yield f"{name} line {number} has the columns {list(row)}"
            else:
                check = _CHECKS.get(kind)
                yield from (f"{name} line {number}: {what}" for what in (check(row) if check else ()))
            if kind == "kto":
                labels.add(bool(row.get("label")))
            redactor.text(line.decode("utf-8", "replace"))
    if name == "preds/preds.json":
        rows = len(json.loads(path.read_bytes()))
    if rows != file["rows"]:
        yield f"{name} has {rows} rows, the manifest says {file['rows']}"
    if digest.hexdigest() != file["sha256"]:
        yield f"{name} is not the file that was exported (sha256)"
    if redactor.counts:
        yield f"{name} holds secrets: {dict(redactor.counts)}"


def _conversation(messages: Any, what: str) -> Iterator[str]:
    if not isinstance(messages, list) or not messages:
        yield f"{what} is not a list of messages"
        return
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            yield f"{what} has a message whose content is not a str"
            return
        for call in message.get("tool_calls", ()):
            if not isinstance(call["function"]["arguments"], dict):
                yield f"{what} has a tool call whose arguments are not a dict"
        if message["role"] == "tool" and set(message) != {"role", "name", "tool_call_id", "content"}:
            yield f"{what} has a tool message with the keys {sorted(message)}"


def _answer(messages: Any, what: str) -> Iterator[str]:
    yield from _conversation(messages, what)
    if isinstance(messages, list) and [message.get("role") for message in messages] != ["assistant"]:
        yield f"{what} is not one assistant message"


def _tools(row: WithTools) -> Iterator[str]:
    if not isinstance(row["tools"], str) or not isinstance(json.loads(row["tools"]), list):
        yield "tools is not a JSON string of a list"


def _sft(row: SftRow) -> Iterator[str]:
    yield from _conversation(row["messages"], "messages")
    yield from _tools(row)
    if not isinstance(row["metadata"], str):
        yield "metadata is not a JSON string"


def _sft_pc(row: CompletionRow) -> Iterator[str]:
    yield from _conversation(row["prompt"], "prompt")
    yield from _answer(row["completion"], "completion")
    yield from _tools(row)


def _tokens(row: TokenRow) -> Iterator[str]:
    ids, labels = row["input_ids"], row["labels"]
    if len(ids) != len(labels):
        yield f"{len(ids)} input_ids and {len(labels)} labels"
    elif any(label not in (-100, one) for one, label in zip(ids, labels, strict=True)):
        yield "a label is neither -100 nor the id it stands at"
    elif all(label == -100 for label in labels):
        yield "nothing enters the loss"


def _dpo(row: DpoRow) -> Iterator[str]:
    yield from _conversation(row["prompt"], "prompt")
    yield from _answer(row["chosen"], "chosen")
    yield from _answer(row["rejected"], "rejected")
    yield from _tools(row)
    if not row["margin"] > 0:
        yield f"the margin is {row['margin']}"


def _kto(row: KtoRow) -> Iterator[str]:
    yield from _sft_pc(row)
    if not isinstance(row["label"], bool):
        yield "label is not a bool"


def _reward(row: RewardRow) -> Iterator[str]:
    yield from _conversation(row["chosen"], "chosen")
    yield from _conversation(row["rejected"], "rejected")
    yield from _tools(row)
    if not row["margin"] > 0:
        yield f"the margin is {row['margin']}"


def _orm(row: OrmRow) -> Iterator[str]:
    yield from _conversation(row["prompt"], "prompt")
    yield from _answer(row["completion"], "completion")
    if row["completion"][0]["content"] != ("YES" if row["label"] else "NO"):
        yield "the completion is not what the label says"


def _prm(row: PrmRow) -> Iterator[str]:
    columns = (row["completions"], row["labels"], row["values"], row["rewards"], row["advantages"])
    if len({len(column) for column in columns}) != 1:
        yield "completions, labels, values, rewards, advantages differ in length"


def _grpo(row: GrpoRow) -> Iterator[str]:
    yield from _conversation(row["prompt"], "prompt")
    if not isinstance(row["fail_to_pass"], list) or not isinstance(json.loads(row["test_files"]), dict):
        yield "fail_to_pass is not a list, or test_files not the JSON of an object"


def _rollouts(row: RolloutRow) -> Iterator[str]:
    columns = (row["completion_ids"], row["env_mask"], row["logprobs"])
    lengths = {len(column) for column in columns if column is not None}
    if len(lengths) != 1:
        yield "completion_ids, env_mask and logprobs differ in length"
    if not isinstance(row["reward"], int | float):
        yield "the reward is not a number"


def _acecoder(row: AcecoderRow) -> Iterator[str]:
    yield from _conversation(row["prompt"], "prompt")
    yield from _answer(row["chosen"], "chosen")
    yield from _answer(row["rejected"], "rejected")
    if not row["chosen_rate"] > row["rejected_rate"]:
        yield f"{row['chosen_rate']} is chosen before {row['rejected_rate']}"


def _cure(row: CureRow) -> Iterator[str]:
    yield from _conversation(row["prompt"], "prompt")
    yield from _answer(row["completion"], "completion")
    if not -1 <= row["reward"] <= 1:
        yield f"the reward is {row['reward']}"


def _preds(row: PredictionRow) -> Iterator[str]:
    if not isinstance(row["model_patch"], str):
        yield "model_patch is not a str"


_CHECKS: dict[str, Callable[[Any], Iterator[str]]] = {
    "sft": _sft,
    "sft_pc": _sft_pc,
    "sft_tokens": _tokens,
    "dpo": _dpo,
    "kto": _kto,
    "reward": _reward,
    "orm": _orm,
    "prm": _prm,
    "grpo": _grpo,
    "rollouts": _rollouts,
    "acecoder": _acecoder,
    "cure": _cure,
    "preds": _preds,
}
