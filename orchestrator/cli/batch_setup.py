"""From the flags of `swe-agent batch` to what is done: checks, settings, instances, `batch.json`."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ..batch.state import save
from ..benchmarks.dataset import Selection, ids_of, load_benchmark, load_instances
from ..benchmarks.instance import Instance
from .solving import role_models, seconds, split_list

_REDO = ("error", "limit", "empty", "unresolved", "all")
_SAME = (
    "model",
    "role_models",
    "roles",
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


def check(flags: Mapping[str, Any]) -> None:
    if not flags["dataset"]:
        raise UsageError(
            "name the dataset with --dataset: verified, lite, or a .json, .jsonl or .parquet file"
        )
    for name, choices in (
        ("executor", ("local", "ray")),
        ("environment", ("auto", "image", "native", "repository")),
        ("pull", ("missing", "never")),
        ("roles", ("team", "single")),
        ("search", ("linear", "best-of-n", "tree")),
        ("sandbox", ("auto", "namespace", "docker", "plain")),
        ("network", ("none", "on")),
    ):
        if flags[name] not in choices:
            raise UsageError(f"--{name} {flags[name]!r}: choose from {', '.join(choices)}")
    for item in split_list(flags["redo"]):
        if item not in _REDO:
            raise UsageError(f"--redo {item!r}: choose from {', '.join(_REDO)}")
    for name in ("budget_usd", "budget_tokens", "budget_steps", "total_budget_usd", "image_budget_gb"):
        if flags[name] is not None and flags[name] <= 0:
            raise UsageError(f"--{name.replace('_', '-')} must be positive, not {flags[name]}")
    for name in ("timeout", "total_timeout", "backoff"):
        seconds(flags[name])
    if flags["environment"] == "native" and flags["repo_mirror"] is None:
        raise UsageError("--environment native needs --repo-mirror DIR with clones of the repositories")
    if flags["repo_mirror"] is not None and not flags["repo_mirror"].is_dir():
        raise UsageError(f"--repo-mirror {flags['repo_mirror']} is not a directory")


def settings(flags: Mapping[str, Any]) -> dict[str, Any]:
    search = flags["search"]
    return {
        "model": flags["model"],
        "name": flags["name"],
        "role_models": role_models(flags["role_model"]),
        "api_base": flags["api_base"],
        "fallbacks": list(split_list(flags["fallback_models"])),
        "temperature": flags["temperature"],
        "max_output_tokens": flags["max_output_tokens"],
        "reasoning_effort": flags["reasoning_effort"],
        "text_mode": flags["text_mode"],
        "request_timeout": flags["request_timeout"],
        "retry_time": flags["retry_time"],
        "stream": flags["stream"],
        "token_ids": flags["token_ids"],
        "roles": flags["roles"],
        "search": search,
        "samples": flags["samples"] or (1 if search == "linear" else 8),
        "width": flags["width"],
        "proposers": list(split_list(flags["proposers"])) or None,
        "seed": flags["seed"],
        "hints": flags["hints"],
        "max_steps": flags["max_steps"],
        "critic_samples": flags["critic_samples"],
        "sandbox": flags["sandbox"],
        "network": flags["network"] == "on",
        "setup": flags["setup"],
        "test_cmd": flags["test_cmd"],
        "environment": flags["environment"],
        "pull": flags["pull"],
        "repo_mirror": str(flags["repo_mirror"].absolute()) if flags["repo_mirror"] else None,
        "cache": str(flags["cache"].absolute()) if flags["cache"] else None,
    }


def instances(flags: Mapping[str, Any]) -> list[Instance]:
    select = Selection(
        ids_of(flags["instances"]), flags["filter_"], flags["slice_"], flags["shuffle"], flags["seed"]
    )
    if flags["benchmark"]:
        found = load_benchmark(flags["benchmark"], flags["dataset"], flags["repo_mirror"], select=select)
    else:
        found = load_instances(flags["dataset"], split=flags["split"], select=select)
    if not found:
        raise UsageError("no instance is left: check --instances, --filter and --slice")
    return found


def preflight(flags: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Fatal mistakes are found before anything is cloned or spent. An endpoint that does not answer just
    now is not fatal: the instances wait for it."""
    from ...agents.models.calls import ModelOptions
    from ...agents.models.factory import check_model

    options = ModelOptions(api_base=settings["api_base"], fallbacks=tuple(settings["fallbacks"]))
    for model in sorted({settings["model"], *settings["role_models"].values()}):
        check_model(model, options)
    if flags["executor"] == "ray":
        from importlib.util import find_spec

        if find_spec("ray") is None:
            raise UsageError("--executor ray needs the extra: pip install 'swe-agent[ray]'")


def default_name(flags: Mapping[str, Any]) -> str:
    """The same flags name the same directory, so that the same command resumes."""
    chosen = [
        str(flags[key])
        for key in (
            "dataset",
            "split",
            "benchmark",
            "instances",
            "filter_",
            "slice_",
            "shuffle",
            "seed",
            "model",
        )
    ]
    stem = Path(flags["dataset"]).stem if flags["dataset"] != "-" else "stdin"
    digest = hashlib.sha256("\0".join(chosen).encode()).hexdigest()[:8]
    return f"batch-{''.join(c if c.isalnum() else '-' for c in stem)}-{digest}"


def remember(
    output: Path, flags: Mapping[str, Any], settings: dict[str, Any], instances: list[Instance]
) -> None:
    """batch.json: what this directory is. Raises: UsageError when it was something else."""
    path = output / "batch.json"
    dataset = flags["dataset"]
    if dataset != "-" and Path(dataset).exists():
        dataset = str(Path(dataset).absolute())
    if path.exists():
        now = {"dataset": dataset, "split": flags["split"], "benchmark": flags["benchmark"]}
        try:
            file = json.loads(path.read_text("utf-8"))
            before = {**{key: file[key] for key in now}, **{key: file["settings"].get(key) for key in _SAME}}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is damaged: name another --output") from error
        for key, value in {**now, **{key: settings[key] for key in _SAME}}.items():
            if before[key] != value:
                raise UsageError(
                    f"{output} holds a batch with {key.replace('_', '-')} {before[key]!r}, not {value!r}: "
                    "name another --output"
                )
    data = {
        "dataset": dataset,
        "split": flags["split"],
        "benchmark": flags["benchmark"],
        "repo_mirror": settings["repo_mirror"],
        "settings": settings,
        "instances": [instance.id for instance in instances],
        "argv": argv(output),
    }
    save(path, (json.dumps(data, indent=1) + "\n").encode())


def argv(output: Path) -> list[str]:
    argv = ["swe-agent", *sys.argv[1:]]
    if not any(word == "--output" or word.startswith("--output=") for word in argv):
        argv += ["--output", str(output)]
    return [
        word
        for position, word in enumerate(argv)
        if not (
            word.startswith("--redo=") or word == "--redo" or (position and argv[position - 1] == "--redo")
        )
    ]
