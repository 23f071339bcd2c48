"""for_trainer: the tables of an export in the shape that another trainer reads, beside them in `for-TRAINER/`.

Fields by the code of their readers: ms-swift 4.6 (`MessagesPreprocessor`), LLaMA-Factory 0.9
(`SharegptDatasetConverter`) and SkyRL 0.3 (`PromptDataset`); by their documentation: slime (`Sample.metadata` is an
object) and NeMo Gym (`responses_create_params`). verifiers 0.4 and prime-rl (August 2026) are read from the records
(`episodes`, `samples`), prime-rl's demonstrations from the table (`SFTDataset`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ....tools.errors import ExportError
from ...record.trajectory_file import load
from .episodes import episodes
from .export import MANIFEST, RowMaker
from .options import ExportOptions, Tally
from .rows import compact
from .samples import samples
from .view import View
from .writer import in_test

Fields: TypeAlias = dict[str, Any]
Convert = Callable[[Fields], Fields]
_ENVIRONMENT = "swe_agent"


def _swift(row: Fields) -> Fields:
    return {"messages": row["messages"], "tools": row["tools"]}


def _context(messages: Sequence[Fields]) -> list[Fields]:
    """Messages of a prompt: what the model said there is not trained again."""
    return [one | {"loss": False} if one["role"] == "assistant" else one for one in messages]


def _swift_completion(row: Fields) -> Fields:
    label = {"label": row["label"]} if "label" in row else {}
    return {"messages": [*_context(row["prompt"]), *row["completion"]], "tools": row["tools"], **label}


def _swift_pair(row: Fields) -> Fields:
    above = _context(row.get("prompt", []))
    return {
        "messages": [*above, *row["chosen"]],
        "rejected_messages": [*above, *row["rejected"]],
        "tools": row["tools"],
        "margin": row["margin"],
    }


def _turns(messages: Sequence[Fields]) -> Iterator[Fields]:
    """Sides that alternate: what stands on the user's side together is one turn, as are several calls."""
    side: list[str] = []
    role = "human"
    for message in messages:
        if message["role"] != "assistant":
            if message["role"] == "tool" and not side:
                role = "observation"
            side.append(message["content"])
            continue
        if side:
            yield {"from": role, "value": "\n\n".join(side)}
        side, role = [], "human"
        yield _said(message)
    if side:
        yield {"from": role, "value": "\n\n".join(side)}


def _said(message: Fields) -> Fields:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    if not calls:
        return {"from": "gpt", "value": message["content"]}
    return {"from": "function_call", "value": compact(calls if len(calls) > 1 else calls[0])}


def _factory(messages: Sequence[Fields], tools: str) -> Fields:
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else ""
    rest = messages[1:] if system else messages
    return {"conversations": list(_turns(rest)), "system": system, "tools": tools}


def _factory_sft(row: Fields) -> Fields:
    messages = row["messages"]
    while messages and messages[-1]["role"] != "assistant":
        messages = messages[:-1]  # a row ends with what is learned
    return _factory(messages, row["tools"])


def _factory_completion(row: Fields) -> Fields:
    label = {"label": row["label"]} if "label" in row else {}
    return _factory([*row["prompt"], *row["completion"]], row["tools"]) | label


def _factory_pair(row: Fields) -> Fields:
    pair = {name: _said(row[name][-1]) for name in ("chosen", "rejected")}
    return _factory(row["prompt"], row["tools"]) | pair


def _skyrl(row: Fields) -> Fields:
    return {"prompt": row.pop("prompt"), "env_class": _ENVIRONMENT, **row}


def _slime(row: Fields) -> Fields:
    return {"prompt": row.pop("prompt"), "label": "", "metadata": row | {"image": row.pop("docker_image")}}


def _nemo(row: Fields) -> Fields:
    messages = [{"role": one["role"], "content": one["content"]} for one in row.pop("prompt")]
    return {
        "responses_create_params": {"input": messages, "metadata": {"instance_id": row["instance_id"]}},
        **row,
    }


def _prime_sft(row: Fields) -> Fields:
    """Arguments as text: Arrow would give every call the keys of all others, as nulls."""
    return {"messages": [_texted(message) for message in row["messages"]], "tools": row["tools"]}


def _texted(message: Fields) -> Fields:
    calls = [
        call | {"function": call["function"] | {"arguments": compact(call["function"]["arguments"])}}
        for call in message.get("tool_calls") or ()
    ]
    return message | {"tool_calls": calls} if calls else message


TRAINERS: Mapping[str, Mapping[str, Convert]] = {
    "ms-swift": {
        "sft": _swift,
        "sft_pc": _swift_completion,
        "kto": _swift_completion,
        "dpo": _swift_pair,
        "reward": _swift_pair,
    },
    "llama-factory": {
        "sft": _factory_sft,
        "sft_pc": _factory_completion,
        "kto": _factory_completion,
        "dpo": _factory_pair,
    },
    "skyrl": {"grpo": _skyrl},
    "slime": {"grpo": _slime},
    "nemo-gym": {"grpo": _nemo},
    "prime-rl": {"sft": _prime_sft},
    "verifiers": {},
}
"""Trainer → kind → how a row of ours becomes one of theirs."""
OF_RECORDS: Mapping[str, RowMaker] = {"prime-rl": samples, "verifiers": episodes}
"""Trainer → its rollouts, which take more than a row of `rollouts` holds."""
_TRACES = "traces.jsonl"


def check_trainer(trainer: str, formats: Sequence[str]) -> None:
    """Raises: ExportError when it is not known, or none of the formats is one that it reads."""
    if trainer not in TRAINERS:
        raise ExportError(f"--for {trainer} is not known: use {', '.join(TRAINERS)}")
    kinds = [*TRAINERS[trainer], *(("rollouts",) if trainer in OF_RECORDS else ())]
    if "all" not in formats and not set(formats) & set(kinds):
        raise ExportError(f"--for {trainer} takes --format {', '.join(kinds)}")


@dataclass(frozen=True, slots=True)
class Written:
    files: list[Path]
    rollouts: Tally
    """What was left out of rollouts that are read from the records."""


def for_trainer(folder: Path, trainer: str, options: ExportOptions) -> Written:
    """Write what a trainer can read of an export into `for-TRAINER/`. `trainer` is one of TRAINERS, `options` are
    those of the export."""
    kinds = TRAINERS[trainer]
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    out = folder / f"for-{trainer}"
    out.mkdir()
    written: list[Path] = []
    tally = Tally()
    for name, file in manifest["files"].items():
        kind, _, part = name.partition("/")
        if kind == "rollouts" and trainer in OF_RECORDS:
            path = out / part.removesuffix(".jsonl") / _TRACES if trainer == "verifiers" else out / name
            written += _of_records(folder, path, OF_RECORDS[trainer], options, tally)
        if kind not in kinds or not file["rows"]:
            continue
        path = out / (name if trainer in OF_RECORDS else f"{kind}-{part}")
        path.parent.mkdir(exist_ok=True)
        with (folder / name).open("rb") as rows, path.open("w", encoding="utf-8") as target:
            for line in rows:
                target.write(compact(kinds[kind](json.loads(line))) + "\n")
        written.append(path)
    if trainer == "llama-factory":
        path = out / "dataset_info.json"
        path.write_text(json.dumps({one.stem: _described(one) for one in written}, indent=2) + "\n", "utf-8")
        written.append(path)
    return Written(written, tally)


def _of_records(folder: Path, path: Path, rows: RowMaker, options: ExportOptions, tally: Tally) -> list[Path]:
    """The file, if it has a row: of the instances of its part of the split."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held_out = "test" in (path.stem, path.parent.name)
    limit = options.max_per_instance
    taken: Counter[str] = Counter()
    with (
        path.open("w", encoding="utf-8", errors="backslashreplace") as target,
        (folder / "trajectories.jsonl").open("rb") as records,
    ):
        for line in records:
            view = View(load(line), len(line))
            if in_test(view.instance, options) != held_out:
                continue
            for row in rows(view, options, tally):
                taken[view.instance] += 1
                if limit is not None and taken[view.instance] > limit:
                    tally.drop("max_per_instance")
                else:
                    target.write(row.dumps() + "\n")
    if path.stat().st_size:
        return [path]
    path.unlink()
    return []


def _described(path: Path) -> Fields:
    """An entry of LLaMA-Factory's `dataset_info.json`."""
    kind = path.stem.rpartition("-")[0]
    columns = {"messages": "conversations", "system": "system", "tools": "tools"}
    if kind == "kto":
        columns["kto_tag"] = "label"
    if kind == "dpo":
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    ranking = {"ranking": True} if kind == "dpo" else {}
    return {"file_name": path.name, "formatting": "sharegpt", **ranking, "columns": columns}
