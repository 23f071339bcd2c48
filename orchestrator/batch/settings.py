"""BatchSettings: the options of `swe-agent batch`; InstanceSettings: the part that a worker needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ..settings import Count, DatasetSettings, Duration, Flag, MirrorSettings, Settings
from ..settings.flag import Amount, words

REDO = ("error", "limit", "empty", "unresolved", "all")
Redo = Literal["error", "limit", "empty", "unresolved", "all"]


class InstanceSettings(MirrorSettings, Settings):
    """How each instance is solved."""

    name: Annotated[
        str | None,
        Flag("model_name_or_path of the predictions.", group="Output", shown="the model", once=True),
    ] = None
    hints: Annotated[
        bool, Flag("Show the issue's later comments (declare it with results).", group="Dataset")
    ] = False
    environment: Annotated[
        Literal["auto", "image", "native", "repository"],
        Flag("Where an instance's environment comes from.", group="Sandbox"),
    ] = "auto"
    pull: Annotated[
        Literal["missing", "never"], Flag("Container images.", group="Sandbox", advanced=True)
    ] = "missing"

    @property
    def model_name(self) -> str:
        return self.name or self.model


class BatchSettings(DatasetSettings, InstanceSettings):
    """Everything that `swe-agent batch` can be told."""

    title: ClassVar[str] = "Batch"

    shuffle: Annotated[bool, Flag("Shuffle by --seed.", group="Dataset", once=True)] = False
    workers: Annotated[Count, Flag("Instances at once.")] = 1
    processes: Annotated[
        Count | None, Flag("Worker processes.", shown="one per worker, 16 at most", advanced=True)
    ] = None
    output: Annotated[
        Path | None,
        Flag("Directory of the batch; the same one again resumes it.", short="-o", once=True, group="Output"),
    ] = None
    redo: Annotated[
        tuple[Redo, ...],
        BeforeValidator(words),
        Flag("Do these again, comma-separated.", choices=REDO, once=True),
    ] = ()
    executor: Annotated[Literal["local", "ray"], Flag("Where workers run.")] = "local"
    eval_: Annotated[bool, Flag("Grade the predictions at the end.", name="eval", group="Output")] = False
    image_budget_gb: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
        Flag("Disk for images that this batch pulled; older ones go.", group="Sandbox", advanced=True),
    ] = None
    total_budget_usd: Annotated[
        Amount | None, Flag("Dollars at most of the whole batch.", group="Limits", shown="no limit")
    ] = None
    total_timeout: Annotated[
        Duration | None, Flag("Wall time at most of this call.", group="Limits", shown="no limit")
    ] = None
    retries: Annotated[
        int, Field(ge=0), Flag("Further attempts after an infrastructure failure.", advanced=True)
    ] = 2
    backoff: Annotated[
        Duration,
        Flag("Pause before the first further attempt; doubled each time.", advanced=True),
    ] = 5.0
    ray_address: Annotated[
        str | None, Flag("Ray cluster.", shown="RAY_ADDRESS, else a local one", advanced=True)
    ] = None
    ray_cpus: Annotated[Amount, Flag("CPUs that one instance asks of Ray.", advanced=True)] = 1.0
    ray_memory_gb: Annotated[Amount | None, Flag("Memory that one instance asks of Ray.", advanced=True)] = (
        None
    )
    dry_run: Annotated[bool, Flag("Say what would be done, and stop.", once=True, group="Output")] = False
    json_: Annotated[
        bool, Flag("results.json on stdout at the end.", name="json", once=True, group="Output")
    ] = False
    quiet: Annotated[bool, Flag("No progress on stderr.", short="-q", group="Output")] = False

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.dataset:
            raise ValueError(
                "name the dataset with --dataset: verified, lite, or a .json, .jsonl or .parquet file"
            )
        if self.environment == "native" and self.repo_mirror is None:
            raise ValueError("--environment native needs --repo-mirror DIR with clones of the repositories")
        if self.repo_mirror is not None and not self.repo_mirror.is_dir():
            raise ValueError(f"--repo-mirror {self.repo_mirror} is not a directory")
        return self

    def of_instance(self) -> InstanceSettings:
        """What a worker needs; paths are absolute."""
        values = {name: getattr(self, name) for name in InstanceSettings.model_fields}
        for name in ("repo_mirror", "cache"):
            values[name] = values[name].absolute() if values[name] else None
        return InstanceSettings(**values)
