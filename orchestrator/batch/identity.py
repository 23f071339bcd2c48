"""batch.json: what a batch directory is, so that the same command resumes it and another one is refused."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ...tools.errors import UsageError
from ..benchmarks.instance import Instance
from .settings import BatchSettings, InstanceSettings
from .state import save

_SAME = (
    "model",
    "role_models",
    "roles",
    "role_file",
    "search",
    "samples",
    "width",
    "proposers",
    "seed",
    "temperature",
    "reasoning_effort",
    "hints",
    "name",
)
"""Settings that may not change within one directory: the predictions would not be of one kind."""


def default_name(settings: BatchSettings) -> str:
    """The same flags name the same directory, so that the same command resumes."""
    names = ("dataset", "split", "benchmark", "instances", "filter", "slice", "shuffle", "seed", "model")
    dataset = settings.dataset or ""
    stem = Path(dataset).stem if dataset != "-" else "stdin"
    digest = hashlib.sha256("\0".join(str(getattr(settings, name)) for name in names).encode())
    return f"batch-{''.join(c if c.isalnum() else '-' for c in stem)}-{digest.hexdigest()[:8]}"


def remember(
    output: Path, settings: BatchSettings, each: InstanceSettings, instances: Sequence[Instance]
) -> None:
    """Write batch.json. Raises: UsageError when the directory was something else."""
    path = output / "batch.json"
    dataset = settings.dataset or ""
    if dataset != "-" and Path(dataset).exists():
        dataset = str(Path(dataset).absolute())
    now = {"dataset": dataset, "split": settings.split, "benchmark": settings.benchmark}
    dumped = each.model_dump(mode="json")
    if path.exists():
        try:
            file = json.loads(path.read_text("utf-8"))
            before = {
                **{key: file[key] for key in now},
                **{key: file["settings"][key] for key in _SAME},
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path} is damaged or of another version of swe-agent: name another --output"
            ) from error
        for key, value in {**now, **{key: dumped[key] for key in _SAME}}.items():
            if before[key] != value:
                raise UsageError(
                    f"{output} holds a batch with {key.replace('_', '-')} {before[key]!r}, not {value!r}: "
                    "name another --output"
                )
    data = {
        **now,
        "repo_mirror": dumped["repo_mirror"],
        "settings": dumped,
        "instances": [instance.id for instance in instances],
        "argv": _argv(output),
    }
    save(path, (json.dumps(data, indent=1) + "\n").encode())


def resume_line(output: Path) -> str:
    """The command that goes on."""
    try:
        argv = json.loads((output / "batch.json").read_text("utf-8"))["argv"]
    except (OSError, ValueError, KeyError):
        argv = ["swe-agent", "batch", "--output", str(output)]
    return f"resume: {shlex.join(argv)}"


def _argv(output: Path) -> list[str]:
    argv = ["swe-agent", *sys.argv[1:]]
    if not any(word in ("--output", "-o") or word.startswith(("--output=", "-o")) for word in argv):
        argv += ["--output", str(output)]
    return [
        word
        for position, word in enumerate(argv)
        if not (
            word.startswith("--redo=") or word == "--redo" or (position and argv[position - 1] == "--redo")
        )
    ]
