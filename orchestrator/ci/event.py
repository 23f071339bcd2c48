"""Event: what set the automation off, read from GitHub's payload
(https://docs.github.com/en/webhooks/webhook-events-and-payloads). Pure: nothing is asked of the forge.

Everything in a payload that people wrote is data: it becomes the text of an issue, never part of a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..forges.base import plain_text

Kind = Literal["issue", "review", "failed-run"]
HUNK_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What counts as being asked, as the workflow's inputs say."""

    trigger_phrase: str = "@swe-agent"
    label: str = "swe-agent"
    assignee: str = ""
    branch_prefix: str = "swe-agent/"
    failed_runs: bool = True


@dataclass(frozen=True, slots=True)
class ForgeEvent:
    """Who asks for what. `kind` issue: solve issue `number`; review: answer a review of our own pull request
    `number` with a commit; failed-run: mend the branch that a run failed on."""

    kind: Kind
    actor: str
    association: str
    """GitHub's author_association of the actor, "" where the payload holds none."""
    repository: str
    """owner/repo"""
    number: int | None = None
    request: str = ""
    """What the actor wrote."""
    path: str = ""
    line: int | None = None
    hunk: str = ""
    branch: str = ""
    commit: str = ""
    title: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nobody asked for anything."""

    why: str


@dataclass(frozen=True, slots=True)
class _Payload:
    """A payload, with what is not there as empty values."""

    data: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def part(self, *names: str) -> _Payload:
        value: Any = self.data
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return _Payload(value if isinstance(value, Mapping) else {})

    def text(self, name: str) -> str:
        return plain_text(self.data.get(name)).strip()

    def integer(self, name: str) -> int | None:
        value = self.data.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_event(name: str, payload: Mapping[str, Any], wanted: Wanted) -> ForgeEvent | Ignored:
    """The event called `name` (GITHUB_EVENT_NAME) with `payload` (the file at GITHUB_EVENT_PATH)."""
    data = _Payload(payload)
    repository = data.part("repository").text("full_name")
    if not repository:
        return Ignored("the event names no repository")
    reader = {
        "issues": _issues,
        "issue_comment": _issue_comment,
        "pull_request_review_comment": _review_comment,
        "pull_request_review": _review,
        "workflow_run": _workflow_run,
        "workflow_dispatch": _dispatch,
    }.get(name)
    return reader(data, repository, wanted) if reader else Ignored(f"nothing is done on {name or 'no event'}")


def _issues(data: _Payload, repository: str, wanted: Wanted) -> ForgeEvent | Ignored:
    action, issue = data.text("action"), data.part("issue")
    label, assignee = data.part("label").text("name"), data.part("assignee").text("login")
    if action == "labeled" and wanted.label and label.lower() == wanted.label.lower():
        return _on_issue(data, repository, issue, "")
    if action == "assigned" and wanted.assignee and assignee.lower() == wanted.assignee.lower():
        return _on_issue(data, repository, issue, "")
    if action == "opened" and _mentions(issue.text("body"), wanted):
        return _on_issue(data, repository, issue, issue.text("author_association"))
    return Ignored(f"the issue was {action or 'touched'} without label {wanted.label!r} or a mention")


def _on_issue(data: _Payload, repository: str, issue: _Payload, association: str) -> ForgeEvent | Ignored:
    if issue.text("state") == "closed":
        return Ignored("the issue is closed")
    actor = data.part("sender").text("login")
    return ForgeEvent(
        "issue", actor, association, repository, issue.integer("number"), url=issue.text("html_url")
    )


def _issue_comment(data: _Payload, repository: str, wanted: Wanted) -> ForgeEvent | Ignored:
    comment, issue = data.part("comment"), data.part("issue")
    body = comment.text("body")
    if data.text("action") != "created" or not _mentions(body, wanted):
        return Ignored(f"the comment does not mention {wanted.trigger_phrase}")
    event = ForgeEvent(
        "review" if issue.data.get("pull_request") else "issue",
        comment.part("user").text("login"),
        comment.text("author_association"),
        repository,
        issue.integer("number"),
        request=_without_phrase(body, wanted),
        title=issue.text("title"),
        url=issue.text("html_url"),
    )
    if event.kind == "issue" and issue.text("state") == "closed":
        return Ignored("the issue is closed")
    return event


def _review_comment(data: _Payload, repository: str, wanted: Wanted) -> ForgeEvent | Ignored:
    comment, pull = data.part("comment"), data.part("pull_request")
    if data.text("action") != "created":
        return Ignored("the review comment is not new")
    return _on_pull(
        repository,
        wanted,
        pull,
        comment,
        path=comment.text("path"),
        line=comment.integer("line") or comment.integer("original_line"),
        hunk=comment.text("diff_hunk")[-HUNK_CHARS:],
    )


def _review(data: _Payload, repository: str, wanted: Wanted) -> ForgeEvent | Ignored:
    review = data.part("review")
    if data.text("action") != "submitted" or not review.text("body"):
        return Ignored("the review says nothing")
    if review.text("state").lower() == "approved":
        return Ignored("the review approves")
    return _on_pull(repository, wanted, data.part("pull_request"), review)


def _on_pull(
    repository: str, wanted: Wanted, pull: _Payload, comment: _Payload, *, path: str = "",
    line: int | None = None, hunk: str = "",
) -> ForgeEvent | Ignored:  # fmt: skip
    """Reviews of our own pull requests are answered; others only when they mention us (and then with words)."""
    head = pull.part("head")
    ours = head.text("ref").startswith(wanted.branch_prefix)
    body = comment.text("body")
    if not ours and not _mentions(body, wanted):
        return Ignored("the review is of a pull request that is not ours")
    return ForgeEvent(
        "review",
        comment.part("user").text("login"),
        comment.text("author_association"),
        repository,
        pull.integer("number"),
        request=_without_phrase(body, wanted),
        path=path,
        line=line,
        hunk=hunk,
        branch=head.text("ref"),
        commit=head.text("sha"),
        title=pull.text("title"),
        url=pull.text("html_url"),
    )


def _workflow_run(data: _Payload, repository: str, wanted: Wanted) -> ForgeEvent | Ignored:
    run = data.part("workflow_run")
    if not wanted.failed_runs or data.text("action") != "completed" or run.text("conclusion") != "failure":
        return Ignored("the run did not fail")
    if run.part("head_repository").text("full_name") != repository:
        return Ignored("the run failed on a fork; its code is not worked on")
    branch = run.text("head_branch")
    if branch.startswith(wanted.branch_prefix):
        return Ignored("the run failed on a branch of ours; a review comment asks for more")
    return ForgeEvent(
        "failed-run",
        run.part("triggering_actor").text("login") or run.part("actor").text("login"),
        "",
        repository,
        branch=branch,
        commit=run.text("head_sha"),
        title=f"{run.text('name') or 'The tests'} failed on {branch}",
        request=run.text("display_title"),
        url=run.text("html_url"),
    )


def _dispatch(data: _Payload, repository: str, wanted: Wanted) -> ForgeEvent | Ignored:
    number = str(data.part("inputs").data.get("issue") or "").strip().lstrip("#")
    if not number.isdecimal():
        return Ignored(
            "the workflow was started by hand without an issue: give its number as the input `issue`"
        )
    return ForgeEvent("issue", data.part("sender").text("login"), "", repository, int(number))


def _mentions(text: str, wanted: Wanted) -> bool:
    """Whether the phrase stands in the text as words of its own, outside of quotes and code."""
    phrase = wanted.trigger_phrase.strip().lower()
    if not phrase:
        return False
    fenced = False
    for line in text.lower().splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and not line.lstrip().startswith(">") and _has_words(line, phrase):
            return True
    return False


def _has_words(line: str, phrase: str) -> bool:
    at = line.find(phrase)
    while at >= 0:
        before, after = line[at - 1 : at], line[at + len(phrase) : at + len(phrase) + 1]
        if not (before.isalnum() or before in ("`", "/", "-", "_", ".")) and not (
            after.isalnum() or after in ("`", "/", "-", "_")
        ):
            return True
        at = line.find(phrase, at + 1)
    return False


def _without_phrase(text: str, wanted: Wanted) -> str:
    phrase = wanted.trigger_phrase.strip()
    return text.replace(phrase, "", 1).strip(" ,:\n") if phrase else text
