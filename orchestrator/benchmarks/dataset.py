"""Datasets: where rows come from (file, standard input, alias, Hugging Face id) and which are taken."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ...tools.extras import install_command
from ...tools.files import reason_of
from .instance import Instance
from .rows import instance_of

ALIASES = {
    "full": ("SWE-bench/SWE-bench", "test"),
    "swe-bench": ("SWE-bench/SWE-bench", "test"),
    "lite": ("SWE-bench/SWE-bench_Lite", "test"),
    "verified": ("SWE-bench/SWE-bench_Verified", "test"),
    "multilingual": ("SWE-bench/SWE-bench_Multilingual", "test"),
    "multimodal": ("SWE-bench/SWE-bench_Multimodal", "test"),
    "swe-gym": ("SWE-Gym/SWE-Gym", "train"),
    "swe-gym-lite": ("SWE-Gym/SWE-Gym-Lite", "train"),
    "swe-smith": ("SWE-bench/SWE-smith", "train"),
    "swe-rebench": ("nebius/SWE-rebench", "test"),
}
"""Alias → (Hugging Face id, default split)."""

_SUFFIXES = (".json", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances of a dataset are taken, and in which order."""

    ids: tuple[str, ...] = ()
    pattern: str | None = None
    """Regular expression searched in the instance id."""
    window: str | None = None
    """`a:b` as Python slices; taken after filtering and shuffling."""
    shuffle: bool = False
    seed: int = 0
    sample: int = 0
    """This many of each repository, spread over its versions; 0: all. Taken before the window."""

    def take(self, instances: Sequence[Instance]) -> list[Instance]:
        """Raises: UsageError for an unknown id, a bad pattern or a bad slice."""
        taken = list(instances)
        if self.ids:
            known = {instance.id: instance for instance in taken}
            missing = [name for name in self.ids if name not in known]
            if missing:
                raise UsageError(f"the dataset has no instance {', '.join(missing[:5])}")
            taken = [known[name] for name in dict.fromkeys(self.ids)]
        if self.pattern:
            try:
                wanted = re.compile(self.pattern)
            except re.error as error:
                raise UsageError(f"--filter {self.pattern!r} is not a regular expression: {error}") from error
            taken = [instance for instance in taken if wanted.search(instance.id)]
        if self.shuffle:
            taken.sort(key=lambda instance: instance.id)
            random.Random(self.seed).shuffle(taken)
        if self.sample:
            taken = spread(taken, self.sample)
        return taken[_slice(self.window)] if self.window else taken


def spread(instances: Sequence[Instance], count: int) -> list[Instance]:
    """`count` instances of each repository, at even distances in the order of their versions."""
    by_repository: dict[str, list[Instance]] = {}
    for instance in instances:
        by_repository.setdefault(instance.repo, []).append(instance)
    taken: set[str] = set()
    for found in by_repository.values():
        found.sort(key=lambda item: (_numbers(item.version or ""), item.created_at or "", item.id))
        step = max(1.0, (len(found) - 1) / max(1, count - 1))
        taken.update(found[min(len(found) - 1, round(n * step))].id for n in range(min(count, len(found))))
    return [instance for instance in instances if instance.id in taken]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def load_instances(
    dataset: str, *, split: str | None = None, select: InstanceFilter | None = None
) -> list[Instance]:
    """Instances of a dataset: a local .json, .jsonl or .parquet, `-` (standard input, JSON or JSON
    lines), an alias or a Hugging Face id. Raises: UsageError."""
    rows, benchmark = load_rows(dataset, split=split)
    instances = [
        instance_of(row, where=f"{dataset} row {number}", benchmark=benchmark)
        for number, row in enumerate(rows, 1)
    ]
    seen: set[str] = set()
    for instance in instances:
        if instance.id in seen:
            raise UsageError(f"{dataset} holds instance {instance.id} twice")
        seen.add(instance.id)
    return (select or InstanceFilter()).take(instances)


def load_benchmark(
    name: str, path: str, repositories: Path, *, select: InstanceFilter | None = None, solving: bool = True
) -> list[Instance]:
    """Instances of a benchmark adapter; their repositories are made below `repositories`, which is then
    the mirror folder. `solving`: our agents are to work on them, so one that they cannot work on is refused.
    Raises: UsageError."""
    from .registry import benchmark_named

    if not Path(path).expanduser().exists():
        raise UsageError(f"--benchmark {name} reads local files: there is no {path}")
    taken = (select or InstanceFilter()).take(
        benchmark_named(name).instances(Path(path).expanduser(), repositories)
    )
    for instance in taken if solving else ():
        if why := instance.recipe.get("unsolvable"):
            raise UsageError(
                f"{instance.id} cannot be solved here: {why}; leave it out with --instances or --filter"
            )
    return taken


def load_rows(dataset: str, *, split: str | None = None) -> tuple[list[dict[str, Any]], str]:
    """Raw rows, and the name of the benchmark they belong to. Raises: UsageError."""
    if dataset == "-":
        return _parse(sys.stdin.read(), "standard input"), "stdin"
    path = Path(dataset).expanduser()
    if path.is_dir() and (path / f"{split or 'test'}.parquet").is_file():
        path = path / f"{split or 'test'}.parquet"
    if path.is_file() or path.suffix in _SUFFIXES:
        return _read_file(path), path.stem
    alias = dataset.lower().replace("_", "-").removeprefix("swe-bench-")
    name, default = ALIASES.get(alias, ALIASES.get(dataset.lower(), (dataset, "test")))
    if "/" not in name:
        known = ", ".join(sorted(ALIASES))
        close = get_close_matches(dataset.lower(), ALIASES, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(
            f"no dataset {dataset!r}: name a .json, .jsonl or .parquet file, {known}, or owner/name{hint}"
        )
    return _from_hub(
        name, split or default
    ), f"{name.rsplit('/', 1)[1].lower().replace('_', '-')}/{split or default}"


def _read_file(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            try:
                from pyarrow import parquet
            except ImportError as error:
                raise UsageError(f"a .parquet file needs pyarrow: {install_command('export')}") from error
            return parquet.read_table(path).to_pylist()
        return _parse(path.read_text("utf-8"), str(path))
    except FileNotFoundError as error:
        raise UsageError(f"no dataset file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error


def _parse(text: str, where: str) -> list[dict[str, Any]]:
    stripped = text.lstrip("\ufeff \t\r\n")
    rows: Any
    line_at = ""
    try:
        if stripped.startswith("["):
            rows = json.loads(stripped)
        else:
            rows = []
            # not splitlines: a text may hold what Unicode calls a line separator
            for number, line in enumerate(stripped.split("\n"), 1):
                line_at = f" line {number}"
                if line.strip():
                    try:
                        rows.append(json.loads(line))
                    except ValueError:
                        if number == 1 and stripped.startswith("{"):
                            rows = json.loads(stripped)
                            break
                        raise
    except ValueError as error:
        raise UsageError(f"{where}{line_at} is neither JSON nor JSON lines: {error}") from error
    if isinstance(rows, dict):
        rows = [rows] if "instance_id" in rows else list(rows.values())
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{where} holds no rows: a JSON list of objects or one object per line is expected")
    return rows


def _from_hub(name: str, split: str) -> list[dict[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UsageError(
            f"dataset {name!r} comes from Hugging Face: {install_command('export')}, or pass a local file"
        ) from error
    try:
        return [dict(row) for row in load_dataset(name, split=split)]
    # datasets raises a dozen unrelated kinds (connection, hub, script, split); all mean the same here
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise UsageError(
            f"dataset {name!r} split {split!r} could not be loaded ({text}); offline, pass a local file"
        ) from error


def _slice(text: str) -> slice:
    found = re.fullmatch(r"\s*(-?\d*)\s*(?::\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?)?", text)
    if found is None or not any(character.isdigit() or character == ":" for character in text):
        raise UsageError(f"--slice {text!r} is not a:b")
    numbers = [int(part) if part else None for part in (found[1], found[2] or "", found[3] or "")]
    if numbers[2] == 0:
        raise UsageError("--slice has step 0")
    return slice(*numbers) if ":" in text else slice(None, numbers[0])


def ids_of(text: str | Iterable[str] | None) -> tuple[str, ...]:
    """Instance ids from comma-, space- or line-separated text, or from `@FILE`."""
    if text is None:
        return ()
    parts = [text] if isinstance(text, str) else list(text)
    names: list[str] = []
    for part in parts:
        if part.startswith("@"):
            try:
                part = Path(part[1:]).expanduser().read_text("utf-8")
            except OSError as error:
                raise UsageError(f"{part[1:]} cannot be read: {reason_of(error)}") from error
        names += [name for name in re.split(r"[,\s]+", part) if name]
    return tuple(names)
