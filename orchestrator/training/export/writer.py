"""RowWriter: one kind's files, written as rows come, in constant memory.

Kinds that must be shuffled, or whose columns are known only at the end, are spooled to disk first; what
stays in memory then is one offset per row.
"""

from __future__ import annotations

import hashlib
import json
import random
from array import array
from collections import Counter
from pathlib import Path

from .manifest import FileEntry
from .options import ExportOptions, Tally
from .rows import Row, compact

SHUFFLED = frozenset({"kto"})
WIDENED = frozenset({"rollouts"})


def in_test(instance: str, options: ExportOptions) -> bool:
    """Whether an instance is held out: all its rows are, in every kind."""
    if options.split <= 0:
        return False
    digest = hashlib.sha256(f"{options.seed}:{instance}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < options.split


class RowFile:
    """One file of rows and what the manifest says about it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.columns: list[str] = []
        self._sha256 = hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")

    def write(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        self._sha256.update(data)
        self._file.write(data)
        self.rows += 1

    def close(self) -> FileEntry:
        self._file.close()
        return {"rows": self.rows, "columns": self.columns, "sha256": self._sha256.hexdigest()}


class RowWriter:
    """train.jsonl (and test.jsonl) of one kind in `folder`."""

    def __init__(self, kind: str, folder: Path, options: ExportOptions) -> None:
        self.kind = kind
        self.tally = Tally()
        self._folder = folder
        self._options = options
        self._spooled = kind in SHUFFLED or kind in WIDENED
        names = ("train", "test") if options.split > 0 else ("train",)
        suffix = "spool" if self._spooled else "jsonl"
        self._files = {name: RowFile(folder / f"{name}.{suffix}") for name in names}
        self._labels: dict[str, array[int]] = {name: array("b") for name in names}
        self._columns: dict[str, None] = {}
        self._per_instance: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Write a row unless its instance has enough."""
        limit = 1 if self.kind == "grpo" else self._options.max_per_instance
        if limit is not None:
            if self._per_instance[row.instance] >= limit:
                self.tally.drop("repeated_task" if self.kind == "grpo" else "max_per_instance")
                return
            self._per_instance[row.instance] += 1
        name = "test" if in_test(row.instance, self._options) else "train"
        if not self._columns or self.kind in WIDENED:
            self._columns.update(dict.fromkeys(row.fields))
        self._files[name].write(row.dumps())
        if self.kind in SHUFFLED:
            self._labels[name].append(bool(row.label))

    def close(self) -> dict[str, FileEntry]:
        """Finish the files; each by its path within the export."""
        done: dict[str, FileEntry] = {}
        for name, file in self._files.items():
            columns = list(self._columns)
            if self._spooled:
                file = self._finish(name, file, columns)
            file.columns = columns
            done[f"{self.kind}/{name}.jsonl"] = file.close()
        return done

    def _finish(self, name: str, spool: RowFile, columns: list[str]) -> RowFile:
        spool.close()
        final = RowFile(self._folder / f"{name}.jsonl")
        offsets = array("Q")
        with spool.path.open("rb") as source:
            at = 0
            for line in source:
                offsets.append(at)
                at += len(line)
            order = range(len(offsets))
            if self.kind in SHUFFLED:
                order = mixed(self._labels[name], random.Random(f"{self._options.seed}:{self.kind}:{name}"))
            for index in order:
                source.seek(offsets[index])
                line = source.readline()
                if self.kind in WIDENED:
                    row = json.loads(line)
                    final.write(compact({column: row.get(column) for column in columns}))
                else:
                    final.write(line[:-1].decode("utf-8"))
        spool.path.unlink()
        return final


def mixed(labels: array[int], rng: random.Random) -> array[int]:
    """An order in which both classes are shuffled and spread evenly, so that every batch of a few times the
    class ratio holds both (KTO estimates its reference point within a batch)."""
    classes = [array("L", (i for i, label in enumerate(labels) if label == wanted)) for wanted in (0, 1)]
    for members in classes:
        rng.shuffle(members)
    order = array("L")
    taken = [0, 0]
    for _ in range(len(labels)):
        share = [(taken[i] + 1) / len(members) if members else 2.0 for i, members in enumerate(classes)]
        pick = 0 if share[0] <= share[1] else 1
        if taken[pick] >= len(classes[pick]):
            pick = 1 - pick
        order.append(classes[pick][taken[pick]])
        taken[pick] += 1
    return order
