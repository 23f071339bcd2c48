"""to_parquet: the tables of an export as Parquet, through `datasets`, which keeps tool calls as they are."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ....tools.errors import ExportError
from ....tools.extras import install_command
from .export import MANIFEST


def to_parquet(folder: Path) -> list[Path]:
    """Write `KIND/train.parquet` (and test) beside every non-empty table but ATIF's; returns the files.
    Raises: ExportError without the extra."""
    try:
        import datasets
    except ImportError as error:
        raise ExportError(f"--parquet needs the package datasets: {install_command('export')}") from error
    datasets.disable_progress_bars()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    written: list[Path] = []
    with tempfile.TemporaryDirectory() as cache:
        for name, file in manifest["files"].items():
            path = folder / name
            if (
                not file["rows"]
                or path.suffix != ".jsonl"
                or name.split("/")[0] in ("preds", "atif", path.name)
            ):
                continue
            table = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=cache)
            target = path.with_suffix(".parquet")
            table.to_parquet(str(target))
            written.append(target)
    return written
