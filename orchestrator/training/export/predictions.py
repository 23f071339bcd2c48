"""preds: SWE-bench predictions of the selected patches.

An infrastructure failure or an unfinished run is no prediction: an empty patch would count it as a failure
of the model.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ...record.schema import Trajectory
from .manifest import FileEntry
from .options import Tally

FINISHED = frozenset({None, 1, 6, 7, 8, 130, 143})
"""Exit codes after which a missing patch says nothing about the model."""


class PredictionWriter:
    """`preds.json` (a dict by instance) and `all_preds.jsonl` (a line per run)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tally = Tally()
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = (folder / "all_preds.jsonl").open("wb")
        self._dict = (folder / "preds.json").open("wb")
        self._seen: set[bytes] = set()
        self._hashes = (hashlib.sha256(), hashlib.sha256())
        self._rows = [0, 0]
        self._put_dict(b"{")

    def add(self, record: Trajectory) -> None:
        patches = {patch.id: patch.text for patch in record.patches}
        chosen = record.selected.patch if record.selected is not None else None
        text = patches.get(chosen or "", "")
        if not text.strip() and record.outcome.exit_code in FINISHED:
            self.tally.drop("infrastructure" if record.outcome.status is not None else "unfinished")
            return
        row = {
            "instance_id": record.task.instance_id,
            "model_name_or_path": model_name(record),
            "model_patch": text,
        }
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._lines.write(line)
        self._hashes[1].update(line)
        self._rows[1] += 1
        key = hashlib.sha256(record.task.instance_id.encode()).digest()[:12]
        if key in self._seen:
            self.tally.drop("repeated_instance")
            return
        self._seen.add(key)
        entry = f"{json.dumps(record.task.instance_id)}: {json.dumps(row, ensure_ascii=False)}"
        self._put_dict((",\n" if self._rows[0] else "\n").encode() + entry.encode())
        self._rows[0] += 1

    def _put_dict(self, data: bytes) -> None:
        self._dict.write(data)
        self._hashes[0].update(data)

    def close(self) -> dict[str, FileEntry]:
        self._put_dict(b"\n}\n")
        self._dict.close()
        self._lines.close()
        columns = ["instance_id", "model_name_or_path", "model_patch"]
        return {
            f"preds/{name}": {"rows": rows, "columns": columns, "sha256": digest.hexdigest()}
            for name, rows, digest in zip(
                ("preds.json", "all_preds.jsonl"), self._rows, self._hashes, strict=True
            )
        }


def model_name(record: Trajectory) -> str:
    """`swe-agent` and the models that wrote, as the official harness can use it in file names."""
    writers = sorted(
        {agent.model for agent in record.agents if agent.role in ("coder", "debugger", "single")}
    )
    return "__".join(["swe-agent", *(model.replace("/", "__") for model in writers)])
