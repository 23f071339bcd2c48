"""FactCache: facts of blobs kept between runs. A blob's id is its content, so nothing can be stale."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from .facts import FileFacts

VERSION = 1
"""Of what `facts_of` reads; another version is another file."""
_MOST_BYTES = 256 << 20
_CHUNK = 500


class FactCache:
    """An sqlite file under `folder`; None: nothing is kept. Any fault of the file is a miss, never an error."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / f"facts-{VERSION}.sqlite" if folder else None

    def read(self, blobs: Iterable[str]) -> dict[str, FileFacts]:
        if self._path is None or not self._path.exists():
            return {}
        wanted, found = list(dict.fromkeys(blobs)), dict[str, FileFacts]()
        try:
            with sqlite3.connect(self._path, timeout=2.0) as database:
                for start in range(0, len(wanted), _CHUNK):
                    part = wanted[start : start + _CHUNK]
                    marks = ",".join("?" * len(part))
                    rows = database.execute(f"select blob, data from facts where blob in ({marks})", part)
                    for blob, data in rows:
                        found[blob] = FileFacts.from_json(json.loads(zlib.decompress(data)))
        except (sqlite3.Error, ValueError, TypeError, zlib.error):
            return {}
        return found

    def write(self, facts: Mapping[str, FileFacts]) -> None:
        if self._path is None or not facts:
            return
        rows = [(blob, zlib.compress(json.dumps(fact.to_json()).encode(), 1)) for blob, fact in facts.items()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size > _MOST_BYTES:
                self._path.unlink()
            with sqlite3.connect(self._path, timeout=2.0) as database:
                database.execute("create table if not exists facts (blob text primary key, data blob)")
                database.executemany("insert or ignore into facts values (?, ?)", rows)
        except (sqlite3.Error, OSError):
            return
