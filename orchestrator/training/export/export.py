"""export: records in, training data out; one pass, one record in memory."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .... import __version__
from ....tools.errors import ExportError
from ....tools.files import naming
from ...record.schema import SCHEMA, Trajectory, json_schema
from ...record.trajectory_file import dump
from ..rewards.recompute import recompute
from . import executed, imitation, preference, reinforcement, verifier
from .atif import atif
from .card import card
from .manifest import Manifest
from .options import FORMATS, ExportOptions, Tally
from .predictions import PredictionWriter
from .redact import Redactor
from .rows import Row
from .view import View
from .writer import RowFile, RowWriter

MANIFEST = "manifest.json"
EXPORT_SCHEMA = "swe-export/1"

RowMaker = Callable[[View, ExportOptions, Tally], Iterator[Row]]
MAKERS: dict[str, RowMaker] = {
    "sft": imitation.sft,
    "sft_pc": imitation.sft_pc,
    "sft_tokens": imitation.sft_tokens,
    "dpo": preference.dpo,
    "kto": preference.kto,
    "reward": preference.reward,
    "orm": verifier.orm,
    "prm": verifier.prm,
    "grpo": reinforcement.grpo,
    "rollouts": reinforcement.rollouts,
    "acecoder": executed.acecoder,
    "cure": executed.cure,
    "atif": atif,
}
_BENCHMARK_ID = re.compile(r"[\w.-]+__[\w.-]+-\d+")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to."""

    folder: Path
    manifest: Manifest

    @property
    def rows(self) -> dict[str, int]:
        """File → rows."""
        return {name: file["rows"] for name, file in self.manifest["files"].items()}


def export(
    records: Iterable[Trajectory],
    formats: Sequence[str],
    out: Path,
    options: ExportOptions | None = None,
    *,
    losses: Sequence[str] = (),
) -> Exported:
    """Write each format into its folder under `out`, which must be empty, absent, or an earlier export (then
    it is replaced as a whole, at the end). `losses` may still grow while `records` is read.

    Raises: ExportError for an unknown format, a foreign directory or a benchmark instance; RecordError.
    """
    options = options or ExportOptions()
    wanted = FORMATS if "all" in formats else tuple(dict.fromkeys(formats))
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise ExportError(f"unknown format {', '.join(unknown) or '(none)'}: use {', '.join(FORMATS)} or all")
    if out.exists() and not (out / MANIFEST).exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out} is not empty and not an export: name another --out")
    draft = out.with_name(f".{out.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with naming(out):
            manifest = _write(records, wanted, draft, options, losses)
        if out.exists():
            shutil.rmtree(out)
        draft.rename(out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Exported(out, manifest)


def _write(
    records: Iterable[Trajectory],
    formats: Sequence[str],
    out: Path,
    options: ExportOptions,
    losses: Sequence[str],
) -> Manifest:
    writers = {kind: RowWriter(kind, out / kind, options) for kind in formats if kind in MAKERS}
    predictions = PredictionWriter(out / "preds") if "preds" in formats else None
    copies = RowFile(out / "trajectories.jsonl")
    copies.columns = list(Trajectory.model_fields)
    redactor = Redactor()
    runs = Counter[str]()
    licences = set[str]()
    for record in records:
        runs["read"] += 1
        if set(formats) != {"preds"}:
            refuse_benchmark(record, options)
        record = recompute(record, options.reward)
        line = dump(record)
        clean = redactor.record(record, line)
        runs["prompts_not_verified"] += sum(call.prompt_sha256 is None for call in clean.calls)
        licences.add(clean.task.licence or "unknown")
        line = line if clean is record else dump(clean)
        copies.write(line)
        view = View(clean, len(line))
        for kind, writer in writers.items():
            for row in MAKERS[kind](view, options, writer.tally):
                writer.add(row)
        if predictions is not None:
            predictions.add(clean)
    files = {"trajectories.jsonl": copies.close()}
    for writer in writers.values():
        files |= writer.close()
    if predictions is not None:
        files |= predictions.close()
    tallies: dict[str, Tally] = {kind: writer.tally for kind, writer in writers.items()}
    if predictions is not None:
        tallies["preds"] = predictions.tally
    manifest: Manifest = {
        "schema": EXPORT_SCHEMA,
        "record_schema": SCHEMA,
        "generator": f"swe-agent {__version__}",
        "seed": options.seed,
        "filters": options.to_json(),
        "runs": runs["read"],
        "calls_without_prompt_digest": runs["prompts_not_verified"],
        "files": dict(sorted(files.items())),
        "dropped": {kind: tally.to_json() for kind, tally in tallies.items()},
        "redacted": dict(sorted(redactor.counts.items())),
        "token_ids_dropped_by_redaction": redactor.dropped_tokens,
        "licences": sorted(licences),
        "losses": list(losses),
    }
    (out / "record.schema.json").write_text(json_schema(), encoding="utf-8")
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "README.md").write_text(card(manifest), encoding="utf-8")
    return manifest


def refuse_benchmark(record: Trajectory, options: ExportOptions) -> None:
    """Training on what a model will be measured with is refused, not filtered. Raises: ExportError."""
    task = record.task
    if options.allow_benchmark or task.split == "train":
        return
    if task.split == "test":
        what = "it is of split test"
    elif task.benchmark is not None:
        what = f"it belongs to the benchmark {task.benchmark}"
    elif task.split is None and task.source == "dataset" and _BENCHMARK_ID.fullmatch(task.instance_id):
        what = "its id is that of a benchmark instance"
    else:
        return
    raise ExportError(
        f"{task.instance_id} is not exported as training data: {what} (--allow-benchmark exports it all the same)"
    )
