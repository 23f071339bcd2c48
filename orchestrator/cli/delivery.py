"""What is to be done with a patch beyond the run directory: `--patch`, `--apply`, `--branch`, `--open-pr`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...tools.errors import UsageError
from ..report.output import write_text
from ..request import SolveRequest, SolveResult
from ..solving.issue import Issue
from .solve_settings import DeliverySettings

if TYPE_CHECKING:
    from ..report.screen import Screen


@dataclass(slots=True)
class Delivered:
    """What was done, field by field as it was done."""

    applied_to: str | None = None
    commit: str | None = None
    pull_request: str | None = None
    exit_code: int | None = None
    delivery_error: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def check_delivery(asked: DeliverySettings, issue: Issue, *, local: bool) -> None:
    """Find out before anything is cloned or spent what cannot work at the end; `local` says that the
    repository is a checkout of the user's. Raises: UsageError."""
    if asked.patch is not None and asked.patch != "-":
        _check_writable(Path(asked.patch))
    if asked.open_pr and issue.url is None:
        raise UsageError("--open-pr needs an issue on a forge: give --issue URL")
    if (asked.apply or asked.branch) and not local:
        name = "--apply" if asked.apply else "--branch"
        raise UsageError(f"{name} needs a checkout of yours: name it with --repo PATH")


def check_repository(asked: DeliverySettings, repository: Path) -> None:
    """The same of the repository. Raises: UsageError, RepositoryError."""
    if asked.apply or asked.branch:
        from ..solving.delivery import check_branch, working_tree

        working_tree(repository)
        if asked.branch:
            check_branch(repository, asked.branch)


def write_patch(asked: DeliverySettings, result: SolveResult) -> None:
    """What --patch asks for, verified or not. Raises: UsageError."""
    if asked.patch is None or not result.patch:
        return
    if asked.patch == "-":
        write_text(result.patch)
        return
    try:
        Path(asked.patch).write_bytes(result.patch.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise UsageError(
            f"cannot write --patch {asked.patch}: {error.strerror}; the patch is {result.run}/patch.diff"
        ) from error


def deliver(
    asked: DeliverySettings, request: SolveRequest, result: SolveResult, screen: Screen, done: Delivered
) -> None:
    """Apply, commit or publish a verified patch; `done` is filled in as each is done.
    Raises: PatchError, UsageError, RepositoryError, ForgeError; the patch is kept."""
    if not (asked.apply or asked.branch or asked.open_pr) or not result.patch or result.run is None:
        return
    if not result.verified:
        screen.line(
            "not delivered: the patch is not verified (swe-agent apply does it all the same)", "yellow"
        )
        return
    from ..solving import delivery

    if asked.apply:
        done.applied_to = str(delivery.apply_patch(result.run, request.repository))
    if asked.branch:
        done.commit = delivery.commit_branch(
            request.repository, asked.branch, result.patch, result.base_commit or "HEAD", request.issue
        )
    if asked.open_pr:
        done.pull_request = delivery.open_pr(
            request.issue, result, ready=asked.ready, fork=asked.fork, force=asked.force
        )


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"--patch {path} is a directory: name a file, or - for stdout")
    place = path if path.exists() else path.absolute().parent
    if not place.exists():
        raise UsageError(f"--patch {path}: there is no folder {place}")
    if not os.access(place, os.W_OK):
        raise UsageError(f"--patch {path} cannot be written: permission denied")
