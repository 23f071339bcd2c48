"""plan: from an event to a job, or to a reason why nothing is done. Reads the forge; writes nothing to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from ...tools.errors import IssueError
from ..forges.cloning import resolve
from ..forges.fetch import fetch_issue
from ..forges.github_repository import GitHubRepository, Pull
from ..forges.host_git import HostGit
from ..forges.tokens import TokenSource
from ..solving.issue import Issue
from .event import ForgeEvent, Ignored
from .job import CiJob


@dataclass(frozen=True, slots=True)
class Place:
    """Where the automation runs: the forge's addresses and its token."""

    server: str = "https://github.com"
    api: str = "https://api.github.com"
    token: str | None = None

    def tokens(self) -> TokenSource:
        """The token goes to this forge's host and to no other."""
        host = urlsplit(self.server).netloc
        names = (
            ("GH_TOKEN",) if host == "github.com" or host.endswith(".ghe.com") else ("GH_ENTERPRISE_TOKEN",)
        )
        return TokenSource({name: self.token for name in names if self.token}, ask_programs=False)

    @property
    def host(self) -> str:
        return urlsplit(self.server).netloc


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask, and how the answer is published."""

    allow_users: tuple[str, ...] = ()
    """Logins that may ask although they may not push; `*`: everybody."""
    allowed_bots: tuple[str, ...] = ()
    branch_prefix: str = "swe-agent/"
    draft: bool = True


@dataclass(slots=True)
class Planner:
    """Makes jobs of events of one place."""

    place: Place
    policy: Policy = field(default_factory=Policy)
    on_line: Callable[[str], None] = lambda line: None

    def plan(self, event: ForgeEvent, folder: Path) -> CiJob | Ignored:
        """Write the job of `event` to `folder` and return it. Raises: ForgeError, IssueError,
        RepositoryError."""
        place = self.place
        with GitHubRepository(place.api, event.repository, place.token, self.on_line) as forge:
            refused = self._refusal(forge, event)
            if refused is not None:
                return Ignored(refused)
            clone_url, default = forge.clone_url()
            if event.kind == "issue":
                made = self._issue(event, clone_url, default)
            elif event.kind == "review":
                assert event.number is not None
                made = self._review(event, forge.pull(event.number), clone_url)
            else:
                made = self._failed_run(event, forge.failed_steps(event.url), clone_url)
        if isinstance(made, Ignored):
            return made
        job, text = made
        commit = self._clone(job, folder / "repository")
        job = replace(job, base_commit=commit)
        job.write(folder, text)
        return job

    def _refusal(self, forge: GitHubRepository, event: ForgeEvent) -> str | None:
        """Why the actor may not ask for this; None: they may."""
        actor, policy = event.actor, self.policy
        if not actor:
            return "the event names nobody who asked"
        if actor.endswith("[bot]"):
            name = actor.removesuffix("[bot]")
            allowed = {bot.removesuffix("[bot]") for bot in policy.allowed_bots}
            return None if name in allowed else f"{actor} is a bot that allowed-bots does not name"
        if "*" in policy.allow_users or actor in policy.allow_users:
            return None
        if forge.may_write(actor, event.association):
            return None
        return f"{actor} may not push to {event.repository}"

    def _issue(self, event: ForgeEvent, clone_url: str, default: str) -> tuple[CiJob, str]:
        place = self.place
        url = f"{place.server}/{event.repository}/issues/{event.number}"
        issue = fetch_issue(
            url, tokens=place.tokens(), env={"GITHUB_API_URL": place.api}, on_line=self.on_line
        )
        branch = f"{self.policy.branch_prefix}issue-{event.number}"
        job = self._job(event, issue.title, branch, default, clone_url, url)
        return job, issue_text(issue, event.request)

    def _review(self, event: ForgeEvent, pull: Pull, clone_url: str) -> tuple[CiJob, str] | Ignored:
        if pull.state != "open":
            return Ignored(f"pull request #{pull.number} is closed")
        if not pull.branch.startswith(self.policy.branch_prefix):
            return Ignored(f"pull request #{pull.number} is not one of ours: its branch is {pull.branch}")
        if pull.head_repository.lower() != event.repository.lower():
            return Ignored(f"the branch of pull request #{pull.number} lies in a fork")
        url = event.url or f"{self.place.server}/{event.repository}/pull/{pull.number}"
        job = self._job(event, f"Review of #{pull.number}", pull.branch, "", clone_url, url)
        return replace(job, base_commit=pull.commit), review_text(event, pull)

    def _failed_run(self, event: ForgeEvent, steps: list[str], clone_url: str) -> tuple[CiJob, str] | Ignored:
        if not event.branch or not event.commit:
            return Ignored("the run names no branch and commit")
        branch = f"{self.policy.branch_prefix}run-{event.commit[:12]}"
        job = self._job(event, event.title, branch, event.branch, clone_url, event.url)
        lines = [f"# {event.title}", "", f"The tests fail on commit {event.commit} ({event.request})."]
        lines += ["", "What failed:", *(f"- {step}" for step in steps)] if steps else []
        return replace(job, base_commit=event.commit), "\n".join(lines) + "\n"

    def _job(self, event: ForgeEvent, title: str, branch: str, base: str, clone_url: str, url: str) -> CiJob:
        place = self.place
        flat = " ".join(title.split())[:120] or "An issue"
        return CiJob(
            event.kind, event.repository, place.server, place.api, event.actor, event.number, flat, branch,
            base, "", clone_url, url, self.policy.draft,
        )  # fmt: skip

    def _clone(self, job: CiJob, destination: Path) -> str:
        """A whole clone, so that whoever works in it needs neither network nor token. Returns the commit."""
        shutil.rmtree(destination, ignore_errors=True)
        destination.parent.mkdir(parents=True, exist_ok=True)
        with HostGit(job.clone_url, self.place.tokens()) as git:
            git.check_reachable()
            git.run("clone", "--quiet", "--no-checkout", "--", git.url, str(destination))
            commit = resolve(git, destination, job.base_commit or None)
            git.run("checkout", "--quiet", "--detach", commit, cwd=destination)
        return commit


def issue_text(issue: Issue, request: str) -> str:
    """The issue with its discussion as Markdown: the title first, as `solve --file` reads it."""
    parts = [f"# {' '.join(issue.title.split())}", issue.body]
    if issue.discussion:
        parts.append(f"Comments:\n\n{issue.discussion}")
    if request:
        parts.append(f"Asked for in a comment:\n\n{request}")
    text = "\n\n".join(part for part in parts if part.strip())
    if not text.strip("# \n"):
        raise IssueError("the issue is empty: say what is wrong in its title or body")
    return text + "\n"


def review_text(event: ForgeEvent, pull: Pull) -> str:
    """What a reviewer wants changed in our pull request, with the place they speak of."""
    place = f" at {event.path}" + (f", line {event.line}" if event.line else "") if event.path else ""
    parts = [
        f"# A review of the change {' '.join(pull.title.split())!r} asks for more",
        f"The change is already in the code. The reviewer wrote{place}:\n\n{event.request}",
    ]
    if event.hunk:
        parts.append(f"About these lines:\n\n```diff\n{event.hunk}\n```")
    if pull.body:
        parts.append(f"The change was described so:\n\n{pull.body[:4000]}")
    return "\n\n".join(parts) + "\n"
