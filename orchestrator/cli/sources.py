"""Where the issue and its repository come from: a flag, a file, a dataset or a forge."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...tools.errors import UsageError
from ..solving.issue import Issue
from ..solving.run_directory import cache_root

if TYPE_CHECKING:
    from ..report.screen import Screen


def read_issue(flags: Mapping[str, Any], screen: Screen) -> Issue:
    if flags.get("example"):
        from ...examples import issue_text

        return Issue.from_text(issue_text(), source="example")
    if flags["text"] is not None:
        return Issue.from_text(flags["text"])
    if flags["file"] is not None:
        return Issue.from_text(_read_text(flags["file"]), source="file")
    if flags["instance"] is not None:
        return _instance(flags["dataset"], flags["instance"])
    from ..forges import fetch_issue

    issue = fetch_issue(flags["issue"], on_line=screen.line)
    if flags["open_pr"] and not flags["force"]:
        from ..forges.pull_request import check_wanted

        check_wanted(issue, "")
    for what, value in (("state", issue.state), ("fixed by", issue.fixed_by)):
        if value and value != "open":
            screen.line(f"  {what}: {value}", "yellow")
    return issue


def _read_text(name: str) -> str:
    """A file's text, - is stdin: UTF-8, or UTF-16 with a byte order mark. Raises: UsageError."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read --file {name}: {error.strerror}") from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if wide else "utf-8-sig", "replace")
    if "\0" in text:
        raise UsageError(f"--file {name} is not text: write the issue in plain text or Markdown")
    return text


def _instance(dataset: str, name: str) -> Issue:
    """One instance of a dataset, without its gold data."""
    from ..benchmarks.dataset import Selection, load_instances

    instance = load_instances(dataset, select=Selection(ids=(name,)))[0].without_gold()
    repository = instance.repo if "://" in instance.repo else f"https://github.com/{instance.repo}.git"
    return instance.issue(repository=repository)


def find_repository(
    flags: Mapping[str, Any], issue: Issue, folder: Path, screen: Screen
) -> tuple[Issue, Path]:
    """The checkout to read: --repo, else the issue's own repository (cloned), else the current folder."""
    if flags.get("example"):
        from ...examples import materialise

        return issue, materialise(cache_root() / "example")
    where = flags["repo"] or issue.repository or "."
    if _is_remote(where):
        from ..forges import clone

        screen.line(f"  repository: {where}  ({'given' if flags['repo'] else 'from the issue'}) [--repo]")
        kind = "gitlab" if issue.source == "gitlab" else "github"
        clone(where, folder, base=flags["base"] or issue.base_commit, kind=kind)
        return issue, folder
    return issue, Path(where).expanduser().resolve()


def _is_remote(where: str) -> bool:
    return "://" in where or where.startswith("git@")


def check_local(flags: Mapping[str, Any], issue: Issue) -> bool:
    """Whether the repository is a checkout of the user's, and not to be cloned or made; then it must be a git
    repository. Raises: RepositoryError."""
    from ...tools.errors import RepositoryError

    where = flags["repo"] or issue.repository or "."
    if flags.get("example") or _is_remote(where):
        return False
    path = Path(where).expanduser()
    if not path.is_dir():
        raise RepositoryError(f"--repo {where}: {'not a' if path.exists() else 'no such'} directory")
    if not (path / ".git").exists() and not (path / "HEAD").exists():
        raise RepositoryError(
            f"--repo {where} is not a git repository: run `git init` and commit there first"
        )
    return True


def slug_of(issue: Issue) -> str:
    words = "".join(char if char.isalnum() else " " for char in issue.id.lower()).split()
    return "-".join(words)[:48].strip("-") or "issue"
