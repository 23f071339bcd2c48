"""Delivery: a patch reaches the user's own repository, and can be taken back."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...tools.errors import PatchError, RepositoryError, UsageError
from ...tools.git import execute, git, open_repo, own_filters_off
from ...tools.patch import Patch
from ..request import SolveResult
from .issue import Issue
from .run_directory import RunDirectory

if TYPE_CHECKING:
    from git import Repo


def apply_patch(run: Path, repository: Path) -> Path:
    """Apply `patch.diff` of a run to the working tree of `repository`; nothing is staged or committed.
    Returns the root of the working tree. Raises: PatchError with git's words, nothing changed then."""
    root = working_tree(repository)
    directory = RunDirectory(run)
    if not directory.read_patch().strip():
        raise UsageError(f"{run} has no patch")
    applied = _applied(directory)
    if applied and applied[-1].get("to") == str(root) and _is_applied(root, directory.patch):
        raise UsageError(
            f"the patch is already applied to {root}: `swe-agent apply {run} --undo` takes it back"
        )
    _git_apply(root, directory.patch)
    applied.append({"to": str(root), "at": int(time.time())})
    directory.replace("applied.json", json.dumps(applied, indent=2) + "\n")
    return root


def undo_patch(run: Path) -> Path:
    """Take the last application back. Raises: UsageError when the run was not applied; PatchError when the
    files have changed since in the same places (nothing is changed then)."""
    directory = RunDirectory(run)
    applied = _applied(directory)
    if not applied:
        raise UsageError(f"{run} has not been applied")
    root = Path(applied[-1]["to"])
    _git_apply(root, directory.patch, "--reverse")
    directory.replace("applied.json", json.dumps(applied[:-1], indent=2) + "\n")
    return root


def commit_branch(repository: Path, branch: str, patch: str, base: str, issue: Issue) -> str:
    """Commit the patch on a new branch without touching the working tree or the index. Returns the commit.
    Raises: UsageError when the branch exists or its name is bad; PatchError."""
    from git import Actor, Commit
    from gitdb.exc import BadName

    repo = check_branch(repository, branch)
    root = working_tree(repository)
    try:
        parent = repo.commit(base)
    except (ValueError, BadName) as error:
        raise RepositoryError(f"{root} does not have the base commit {base[:12]}: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", parent.hexsha, env=index)
        done = execute(root, "apply", "--cached", "--whitespace=nowarn", "-", stdin=patch, env=index)
        if not done.ok:
            raise PatchError(f"git apply: {done.stderr.strip()}")
        tree = repo.tree(git(root, "write-tree", env=index).strip())
    message = f"{issue.title or issue.id}\n" + (f"\nIssue: {issue.url}\n" if issue.url else "")
    author = Actor("swe-agent", "swe-agent@localhost")
    commit = Commit.create_from_tree(
        repo, tree, message, parent_commits=[parent], author=author, committer=author
    )
    repo.create_head(branch, commit.hexsha)
    return commit.hexsha


def check_branch(repository: Path, branch: str) -> Repo:
    """The repository, if `branch` can be made in it. Raises: UsageError, RepositoryError."""
    root = working_tree(repository)
    repo = open_repo(root)
    if not execute(root, "check-ref-format", "--branch", branch).ok:
        raise UsageError(f"--branch {branch!r} is not a valid branch name")
    if branch in (head.name for head in repo.heads):
        raise UsageError(f"--branch {branch}: it exists already; name another")
    return repo


def open_pr(issue: Issue, result: SolveResult, *, ready: bool, fork: str, force: bool) -> str:
    """Publish the patch as a pull (merge) request. Returns its URL. Raises: ForgeError, UsageError."""
    from ..forges import open_pull_request

    if issue.url is None:
        raise UsageError("--open-pr needs an issue on a forge: give --issue URL")
    return open_pull_request(
        issue.url,
        Patch(result.patch),
        result.base_commit or "",
        title=issue.title or issue.id,
        body=pull_request_body(issue, result),
        draft=not ready,
        fork="never" if fork == "never" else "auto",
        force=force,
    )


def pull_request_body(issue: Issue, result: SolveResult) -> str:
    """What reviewers should know: the evidence, and that a machine wrote it."""
    from ..report.patch_report import PatchReport, reproduction_command

    evidence = PatchReport.of(result.to_json())
    command = reproduction_command(issue.url, evidence.base_commit, "") if issue.url else ""
    return evidence.markdown(reproduce=command)


def working_tree(repository: Path) -> Path:
    """The root of the checkout. Raises: RepositoryError when there is none."""
    root = open_repo(repository).working_tree_dir
    if root is None:
        raise RepositoryError(f"{repository} is a bare repository: it has no working tree to apply to")
    return Path(root)


def _git_apply(root: Path, patch: Path, *flags: str) -> None:
    settings = own_filters_off(root)
    for more in (["--check"], []):
        arguments = ["--whitespace=nowarn", *more, *flags, str(patch.resolve())]
        done = execute(root, "apply", *arguments, settings=settings, user_config=True)
        if not done.ok:
            raise PatchError(f"the patch does not apply to {root}: {' '.join(done.stderr.split())}")


def _is_applied(root: Path, patch: Path) -> bool:
    return execute(root, "apply", "--check", "--reverse", str(patch.resolve())).ok


def _applied(directory: RunDirectory) -> list[dict[str, Any]]:
    try:
        return json.loads((directory.path / "applied.json").read_text())
    except FileNotFoundError:
        return []
