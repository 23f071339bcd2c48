"""SolveSettings: the options of `swe-agent solve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator

from ..request import SolveRequest
from ..settings import Count, Flag, Group, Settings, Words
from ..settings.flag import key_of
from ..solving.issue import Issue


class IssueSettings(Group):
    title: ClassVar[str] = "Issue (one of)"

    issue: Annotated[str | None, Flag("Issue URL or owner/repo#N.", once=True, metavar="URL")] = None
    text: Annotated[str | None, Flag("The issue as text.", once=True)] = None
    file: Annotated[
        str | None, Flag("File with the issue; - is stdin.", short="-f", once=True, metavar="FILE")
    ] = None
    instance: Annotated[
        str | None, Flag("Instance id of --dataset: an alias, a file or a hub id.", once=True, metavar="ID")
    ] = None
    dataset: Annotated[str | None, Flag("Dataset that holds --instance.", once=True)] = None
    example: Annotated[bool, Flag("Solve the bundled example.", once=True)] = False
    resume: Annotated[
        str | None, Flag("Go on with this run: a path, a name, or last.", once=True, metavar="RUN")
    ] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        names = ("issue", "text", "file", "instance", "example", "resume")
        given = [name for name in names if getattr(self, name) not in (None, False)]
        if not given:
            raise ValueError(
                "say which issue: one of --issue URL, --text T, --file F, --instance ID --dataset D, --example"
            )
        if len(given) > 1:
            raise ValueError(f"--{' and --'.join(given)} exclude each other: give one")
        if self.instance and not self.dataset:
            raise ValueError("--instance needs --dataset: an alias (verified, lite), a file or a hub id")
        if self.dataset and not self.instance:
            raise ValueError("--dataset needs --instance ID (`swe-agent batch` takes whole datasets)")
        return self


class RepositorySettings(Group):
    title: ClassVar[str] = "Repository"

    repo: Annotated[
        str | None,
        Flag(
            "Checkout or clone URL.",
            short="-r",
            once=True,
            metavar="PATH",
            shown="the issue's, or this folder",
        ),
    ] = None
    base: Annotated[str | None, Flag("Revision to work on.", once=True, metavar="REV", shown="HEAD")] = None
    include_dirty: Annotated[bool, Flag("Take uncommitted changes into the base.", once=True)] = False
    trust_repo: Annotated[bool, Flag("Follow the repository's .swe-agent.toml.")] = False
    protect: Annotated[
        Words, Flag("Globs of files that the patch may not touch, comma-separated.", advanced=True)
    ] = ()


class DeliverySettings(Group):
    title: ClassVar[str] = "Output"

    patch: Annotated[str | None, Flag("Write the patch there; - is stdout.", once=True, metavar="FILE")] = (
        None
    )
    apply: Annotated[bool, Flag("Apply the patch to the checkout when it is verified.")] = False
    branch: Annotated[
        str | None, Flag("Commit the patch to this new branch of the checkout.", once=True, metavar="NAME")
    ] = None
    open_pr: Annotated[bool, Flag("Open a pull request (a draft unless --ready).")] = False
    ready: Annotated[bool, Flag("The pull request is no draft.", once=True)] = False
    fork: Annotated[Literal["auto", "never"], Flag("Push to a fork without push permission.", once=True)] = (
        "auto"
    )
    force: Annotated[bool, Flag("Go on although the issue is closed, locked or assigned.", once=True)] = False

    @model_validator(mode="after")
    def _published(self) -> Self:
        for name, given in (("ready", self.ready), ("fork", self.fork != "auto")):
            if given and not self.open_pr:
                raise ValueError(f"--{name} needs --open-pr")
        return self


class OutputSettings(Group):
    title: ClassVar[str] = "Output"

    output: Annotated[
        Path | None, Flag("Run directory.", short="-o", once=True, shown="under the state folder")
    ] = None
    dry_run: Annotated[bool, Flag("Say what would be done, and stop.", once=True)] = False
    json_: Annotated[bool, Flag("One JSON object on stdout at the end.", name="json", once=True)] = False
    json_stream: Annotated[bool, Flag("Every event as a JSON line on stdout.", once=True)] = False
    quiet: Annotated[bool, Flag("No progress on stderr.", short="-q")] = False
    verbose: Annotated[bool, Flag("Every step on stderr, with its outcome.", short="-v")] = False

    @model_validator(mode="after")
    def _loud(self) -> Self:
        if self.quiet and self.verbose:
            raise ValueError("--quiet and --verbose exclude each other: give one")
        return self


class SolveSettings(OutputSettings, DeliverySettings, Settings, RepositorySettings, IssueSettings):
    """Everything that `swe-agent solve` can be told."""

    workers: Annotated[Count, Flag("Rollouts at once; the result does not depend on it.", group="Search")] = 1
    image: Annotated[str | None, Flag("Container image (docker).", group="Sandbox")] = None
    python: Annotated[
        str | None,
        Flag("Python version of the environment.", group="Verification", metavar="X.Y", shown="detected"),
    ] = None
    given: frozenset[str] = frozenset()
    """Fields that were flags of this call."""

    @model_validator(mode="after")
    def _solvable(self) -> Self:
        if self.image and self.sandbox not in ("auto", "docker"):
            raise ValueError(f"--image needs --sandbox docker, not {self.sandbox}")
        elif self.sandbox == "docker" and not self.image and not self.trust_repo and self.resume is None:
            raise ValueError("--sandbox docker needs --image NAME: the image to run in")
        if self.resume is not None:
            mine = {*DeliverySettings.model_fields, *OutputSettings.model_fields, "resume"} - {"output"}
            for name in sorted(self.given - mine):
                flag = key_of(name, type(self).model_fields[name])
                raise ValueError(f"--resume goes on with the run as it was begun: it cannot change --{flag}")
        return self

    def request(self, issue: Issue, repository: Path) -> SolveRequest:
        """The same, of an issue and a repository that were found."""
        return SolveRequest(
            **{name: getattr(self, name) for name in Settings.model_fields},
            issue=issue,
            repository=repository,
            base=self.base or issue.base_commit,
            workers=self.workers,
            image=self.image,
            python=self.python,
            protected=self.protect,
            include_dirty=self.include_dirty,
        )
