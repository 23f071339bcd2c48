"""`swe-agent eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from ..settings import Count, DatasetSettings, Duration, Flag
from ..settings.flag import words
from .help import CommandApp
from .options import settings_command

app = CommandApp()


class EvalSettings(DatasetSettings):
    """Everything that `swe-agent eval` can be told."""

    title: ClassVar[str] = "Evaluation"

    runs: Annotated[
        list[str],
        Flag("Runs or prediction files; several are seeds of one setting.", once=True, argument=True),
    ] = Field(default_factory=list[str])
    predictions: Annotated[
        str | None,
        Flag(
            "gold (oracle), empty (noop), a .json or .jsonl file, or a run directory.",
            once=True,
            metavar="SOURCE",
        ),
    ] = None
    harness: Annotated[
        Literal["auto", "native", "official", "sb-cli"], Flag("official takes containers.")
    ] = "auto"
    workers: Annotated[Count, Flag("Predictions graded at once.")] = 1
    repeats: Annotated[
        Count, Flag("Grade each prediction this often; verdicts that change are flaky.", once=True)
    ] = 1
    regrade: Annotated[bool, Flag("Judge again what has a verdict already.", once=True)] = False
    sample: Annotated[
        Annotated[int, Field(ge=0)],
        Flag("Take N instances of each repository, spread over its versions.", group="Dataset", once=True),
    ] = 0
    seed: Annotated[int, Flag("Seed of the sample and of the intervals.")] = 0
    table: Annotated[
        bool,
        Flag("A Markdown table by repository: built, resolved, seconds.", group="Output", once=True),
    ] = False
    timeout: Annotated[Duration, Flag("Wall time of the tests of one instance.")] = 1800.0
    sandbox: Annotated[Literal["auto", "namespace", "plain"], Flag("Where tests run (native harness).")] = (
        "auto"
    )
    compare: Annotated[bool, Flag("Paired test of two evaluated runs; nothing is run.", once=True)] = False
    pass_k: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        BeforeValidator(words),
        Flag("k of pass@k over several runs, comma-separated.", once=True, metavar="LIST"),
    ] = ()
    run_id: Annotated[str | None, Flag("Name of this evaluation.", once=True, group="Output")] = None
    output: Annotated[
        Path | None,
        Flag(
            "Where reports and logs go; with --compare a .json or .csv file.",
            short="-o",
            once=True,
            group="Output",
        ),
    ] = None
    json_: Annotated[bool, Flag("One JSON object on stdout.", name="json", once=True, group="Output")] = False
    quiet: Annotated[bool, Flag("No progress on stderr.", short="-q", group="Output")] = False

    @property
    def sources(self) -> tuple[str, ...]:
        """What is to be graded."""
        return (*self.runs, *([self.predictions] if self.predictions else []))


SETTINGS = EvalSettings


@settings_command(app, EvalSettings, "eval")
def evaluate(settings: EvalSettings) -> int:
    """Grade predictions against a dataset.

    `gold` and `empty` are built in: an instance is trusted when gold resolves it and empty does not.
    Exit 0: every prediction was judged; 9: the infrastructure failed on some (call it
    again), or a gold solution does not resolve.
    """
    from .eval_run import evaluate_all, run_compare

    if settings.compare:
        return run_compare(settings.runs, as_json=settings.json_, output=settings.output)
    return evaluate_all(settings)
