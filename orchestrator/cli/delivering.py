"""Delivery: what is to be done with a patch beyond the run directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...tools.errors import UsageError
from ..report.output import write_text
from ..request import SolveRequest, SolveResult
from ..solving.issue import Issue

if TYPE_CHECKING:
    from ..report.screen import Screen


@dataclass(frozen=True, slots=True)
class Delivery:
    """`--patch`, `--apply`, `--branch` and `--open-pr`."""

    patch: str | None
    apply: bool
    branch: str | None
    open_pr: bool
    ready: bool
    fork: str
    force: bool

    def check(self, issue: Issue, *, local: bool) -> None:
        """Find out before anything is cloned or spent what cannot work at the end; `local` says that the
        repository is a checkout of the user's. Raises: UsageError."""
        if self.patch is not None and self.patch != "-":
            _check_writable(Path(self.patch))
        if self.open_pr and issue.url is None:
            raise UsageError("--open-pr needs an issue on a forge: give --issue URL")
        if (self.apply or self.branch) and not local:
            name = "--apply" if self.apply else "--branch"
            raise UsageError(f"{name} needs a checkout of yours: name it with --repo PATH")

    def check_repository(self, repository: Path) -> None:
        """The same of the repository. Raises: UsageError, RepositoryError."""
        if self.apply or self.branch:
            from ..solving.delivery import check_branch, working_tree

            working_tree(repository)
            if self.branch:
                check_branch(repository, self.branch)

    def write(self, result: SolveResult) -> None:
        """What --patch asks for, verified or not. Raises: UsageError."""
        if self.patch is None or not result.patch:
            return
        if self.patch == "-":
            write_text(result.patch)
            return
        try:
            Path(self.patch).write_bytes(result.patch.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise UsageError(
                f"cannot write --patch {self.patch}: {error.strerror}; the patch is {result.run}/patch.diff"
            ) from error

    def deliver(
        self, request: SolveRequest, result: SolveResult, screen: Screen, done: dict[str, Any]
    ) -> None:
        """Apply, commit or publish a verified patch; `done` gets a field for --json as each is done.
        Raises: PatchError, UsageError, RepositoryError, ForgeError; the patch is kept."""
        if not (self.apply or self.branch or self.open_pr) or not result.patch or result.run is None:
            return
        if not result.verified:
            screen.line(
                "not delivered: the patch is not verified (swe-agent apply does it all the same)", "yellow"
            )
            return
        from ..solving import delivery

        if self.apply:
            done["applied_to"] = str(delivery.apply_patch(result.run, request.repository))
        if self.branch:
            done["commit"] = delivery.commit_branch(
                request.repository, self.branch, result.patch, result.base_commit or "HEAD", request.issue
            )
        if self.open_pr:
            done["pull_request"] = delivery.open_pr(
                request.issue, result, ready=self.ready, fork=self.fork, force=self.force
            )


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"--patch {path} is a directory: name a file, or - for stdout")
    place = path if path.exists() else path.absolute().parent
    if not place.exists():
        raise UsageError(f"--patch {path}: there is no folder {place}")
    if not os.access(place, os.W_OK):
        raise UsageError(f"--patch {path} cannot be written: permission denied")
