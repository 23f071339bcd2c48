"""`swe-agent batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..batch.settings import BatchSettings as SETTINGS
from .help import CommandApp
from .options import settings_command

if TYPE_CHECKING:
    from ..benchmarks.instance import Instance

app = CommandApp()


@settings_command(app, SETTINGS, "batch")
def batch(settings: SETTINGS) -> int:
    """Solve many instances of a dataset, resumably.

    The same command with the same --output goes on where it stopped: nothing is lost and nothing is done
    twice. Exit 0: every instance has a prediction; 9: some have none (infrastructure, budget): run it
    again; 130 or 143: stopped by a signal.
    """
    from ..exit_code import ExitCode
    from ..solving.run_directory import runs_root
    from .batch_run import default_name, preflight, run
    from .walls import agree_to_no_walls

    output = (settings.output or runs_root() / default_name(settings)).absolute()
    if settings.benchmark and settings.repo_mirror is None:
        # the tasks' repositories are made there; nobody prepared an environment for them
        update = {"repo_mirror": output / "repositories", "environment": "repository"}
        settings = settings.model_copy(update=update)
    preflight(settings)
    instances = chosen_instances(settings)
    if settings.dry_run:
        for instance in instances:
            print(f"{instance.id}\t{instance.repo}\t{instance.base_commit[:12]}\t{instance.version or ''}")
        return ExitCode.OK
    if settings.repo_mirror is not None:  # else each instance has a container
        agree_to_no_walls(settings.sandbox)
    return run(settings, instances, output)


def chosen_instances(settings: SETTINGS) -> list[Instance]:
    """Raises: UsageError."""
    from ...tools.errors import UsageError
    from ..benchmarks.dataset import InstanceFilter, ids_of, load_benchmark, load_instances

    select = InstanceFilter(
        ids_of(settings.instances), settings.filter, settings.slice, settings.shuffle, settings.seed
    )
    dataset = settings.dataset or ""
    if settings.benchmark and settings.repo_mirror:
        found = load_benchmark(settings.benchmark, dataset, settings.repo_mirror, select=select)
    else:
        found = load_instances(dataset, split=settings.split, select=select)
    if not found:
        raise UsageError("no instance is left: check --instances, --filter and --slice")
    return found
