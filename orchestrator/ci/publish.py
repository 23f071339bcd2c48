"""publish: a job's result reaches the forge: a commit, a pull request or a compare link, an answer; and the
workflow: outputs, the job summary, annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from ...tools.errors import ForgeError, IssueError, PatchError, RepositoryError, SweAgentError
from ...tools.patch import Patch
from ..forges.github_repository import GitHubRepository
from ..forges.push import Push, push_patch
from ..report.patch_report import PatchReport, code, reproduction_command
from .job import CiJob, read_result
from .plan import Place

Conclusion = Literal["verified", "unverified", "no-patch", "failed"]


@dataclass(frozen=True, slots=True)
class Published:
    """What came of a job. `url` is the pull request, or the compare page where none could be opened."""

    conclusion: Conclusion
    summary: str
    """Markdown."""
    branch: str = ""
    url: str = ""
    patch: str = ""
    """Path of the patch; "" when there is none."""
    cost_usd: float | None = None
    problem: str = ""
    """Why something could not be published; the patch is kept."""

    def outputs(self) -> dict[str, str]:
        return {
            "conclusion": self.conclusion,
            "branch-name": self.branch,
            "pull-request-url": self.url,
            "patch-file": self.patch,
            "cost-usd": "" if self.cost_usd is None else f"{self.cost_usd:.4f}",
        }


def publish(
    job: CiJob,
    folder: Path,
    place: Place,
    *,
    model: str = "",
    on_line: Callable[[str], None] = lambda line: None,
) -> Published:
    """Publish what `folder` holds. Only a verified patch is pushed; everything else is said. A forge that
    refuses is `problem`, never an exception."""
    result = read_result(folder)
    with GitHubRepository(place.api, job.repository, place.token, on_line) as forge:
        if result is None or "status" not in result:
            text = "The run ended without a result; the workflow's log says why."
            return _answer(job, forge, Published("failed", text))
        evidence = PatchReport.of(result, model=model)
        command = (
            reproduction_command(job.reference, evidence.base_commit, model) if job.kind == "issue" else ""
        )
        text = evidence.markdown(reproduce=command)
        patch = folder / "run" / "patch.diff"
        found = Published(
            _conclusion(evidence, result), text, patch=str(patch) if result.get("patch") else "",
            cost_usd=evidence.cost_usd,
        )  # fmt: skip
        if found.conclusion != "verified":
            return _answer(job, forge, found)
        return _answer(job, forge, _deliver(job, forge, place, found, str(result["patch"])))


def _conclusion(evidence: PatchReport, result: Mapping[str, Any]) -> Conclusion:
    if not result.get("patch"):
        return "no-patch"
    return "verified" if evidence.verified and evidence.exit_code == 0 else "unverified"


def _deliver(job: CiJob, forge: GitHubRepository, place: Place, found: Published, patch: str) -> Published:
    message = "\n\n".join(part for part in (job.title, job.closes) if part)
    push = Push(
        job.clone_url, job.clone_url, job.base_commit, job.branch, message, "github-actions[bot]", place.host,
        force=job.kind != "review",
    )  # fmt: skip
    try:
        push_patch(push, Patch(patch), place.tokens())
    except (ForgeError, PatchError, RepositoryError) as error:
        return replace(found, problem=f"the branch {job.branch} could not be pushed: {error}")
    if not job.base_branch:
        return replace(found, branch=job.branch, url=job.reference)
    body = "\n\n".join(part for part in (found.summary.rstrip(), job.closes) if part) + "\n"
    try:
        url = forge.open_pull(
            title=job.title, body=body, branch=job.branch, base=job.base_branch, draft=job.draft
        )
    except (ForgeError, IssueError) as error:
        return replace(
            found,
            branch=job.branch,
            url=compare_url(job),
            problem=f"no pull request could be opened: {error}",
        )
    return replace(found, branch=job.branch, url=url)


def compare_url(job: CiJob) -> str:
    """The page on which a person opens the pull request with one click."""
    base, head = quote(job.base_branch, safe="/"), quote(job.branch, safe="/")
    return f"{job.server}/{job.repository}/compare/{base}...{head}?expand=1"


def _answer(job: CiJob, forge: GitHubRepository, found: Published) -> Published:
    """Say on the issue or pull request what came of it."""
    if job.number is None:
        return found
    try:
        forge.comment(job.number, comment_text(job, found))
    except SweAgentError as error:
        return replace(
            found, problem="; ".join(filter(None, (found.problem, f"no answer could be posted: {error}")))
        )
    return found


def comment_text(job: CiJob, found: Published) -> str:
    """The answer under the issue or pull request."""
    head = {
        "verified": "A patch passed its checks.",
        "unverified": "A patch was made, but its checks do not show it right; it was not pushed.",
        "no-patch": "No patch was made.",
        "failed": "The run did not finish.",
    }[found.conclusion]
    if found.url and job.base_branch:
        name = "Open the pull request" if found.problem else "Pull request"
        head = f"{head} {name}: {found.url}"
    elif found.branch:
        head = f"{head} It is a new commit on {code(found.branch)}."
    return "\n\n".join(part for part in (head, found.summary.rstrip()) if part) + "\n"
