"""From what `solve` was told to a request: the issue (a text, a file, a dataset or a forge) and its repository."""

from __future__ import annotations

import asyncio
import codecs
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...tools.errors import RepositoryError, UsageError
from ...tools.excerpt import printable
from ...tools.history import resolve_commit
from ..request import SolveRequest
from ..solving.issue import Issue
from ..solving.run_directory import RunDirectory, cache_root
from .delivery import check_delivery, check_repository
from .solve_settings import SolveSettings
from .walls import agree_to_no_walls

if TYPE_CHECKING:
    from ..report.screen import Screen


def build_request(
    settings: SolveSettings, screen: Screen, scratch: Path | None
) -> tuple[SolveRequest, RunDirectory | None]:
    """Fetch the issue, find the repository. Fatal mistakes are found before anything is cloned or spent, and
    leave no run behind. With `scratch`, a folder for a clone, no run is begun.

    Raises: UsageError, CredentialsError, IssueError, ForgeError, RepositoryError.
    """
    check_models(settings)
    issue = read_issue(settings, screen)
    if not issue.text.strip():
        raise UsageError("the issue is empty: say what is wrong with --text, --file or --issue")
    local = check_local(settings, issue)
    check_delivery(settings, issue, local=local)
    if local and settings.base:
        resolve_commit(settings.repo or issue.repository or ".", settings.base)
    if scratch is None:
        agree_to_no_walls(settings.sandbox, settings.image)
    run = RunDirectory.new(slug_of(issue), settings.output) if scratch is None else None
    headline = f"issue {issue.id}: {issue.title}"
    if not local:
        screen.line(headline, "bold")
    folder = run.path / "work" / "clone" if run is not None else Path(scratch or "") / "clone"
    try:
        repository = find_repository(settings, issue, folder, screen)
        request = _trusting(settings.request(issue, repository), settings.trust_repo, screen)
        check_repository(settings, repository)
        left_out = dirty_lines(settings, repository)
        if local:  # a mistake that is found up to here is the only line
            screen.line(headline, "bold")
        for line in left_out:
            screen.line(line, "yellow")
    except BaseException:
        if run is not None:
            run.discard()
        raise
    return request, run


def resume_request(name: str) -> tuple[SolveRequest, RunDirectory]:
    """The request of an interrupted run. Raises: UsageError when it has finished."""
    run = RunDirectory.existing(name).claim()
    summary = run.read()
    if summary.get("finished"):
        raise UsageError(
            f"{run.path} has finished ({summary['status']}): see `swe-agent runs show {run.path}`"
        )
    return SolveRequest.from_json(summary["request"]), run


def dry_run_lines(request: SolveRequest) -> list[str]:
    """What would be done, a line each; nothing is built, run or spent."""
    from ...tools.project.detect import detect_project

    lines = [
        f"issue: {request.issue.id}: {request.issue.title}",
        f"repository: {request.repository}",
        f"base: {request.base or 'HEAD'}",
    ]
    for found in detect_project(
        request.repository, python=request.python, setup=request.setup, test_cmd=request.test_cmd
    ):
        lines.append(f"{found.what}: {found.value} ({found.why}){f' [{found.flag}]' if found.flag else ''}")
    lines.append(f"model: {request.model}; roles: {request.roles}; search: {request.search}")
    lines.append(f"sandbox: {request.sandbox}, network {'on' if request.network else 'off'}")
    return [printable(line) for line in lines]


def check_models(settings: SolveSettings) -> None:
    """Names, keys and endpoints of every model. Raises: CredentialsError, UsageError."""
    from ...agents.models.preflight import preflight

    async def check() -> None:
        for model in sorted(settings.models()):
            await preflight(model, settings.options)

    asyncio.run(check())
    if settings.verifier is not None:
        from ..verifiers.opening import check_verifier

        check_verifier(settings.verifier)


def _trusting(request: SolveRequest, trusted: bool, screen: Screen) -> SolveRequest:
    """What the repository's .swe-agent.toml says, if the user consents; its other keys never count."""
    from ..settings.sources import REPOSITORY_FILE, repository_settings

    offered, refused = repository_settings(request.repository)
    for key in refused:
        screen.line(f"  {REPOSITORY_FILE}: {key} is ignored: a repository may not set it", "yellow")
    for key, value in offered.items():
        used = "used" if trusted else "not used; --trust-repo takes it"
        screen.line(f"  {REPOSITORY_FILE}: {key} = {value!r}  ({used})")
    if not trusted:
        return request
    return request.model_copy(
        update={
            "test_cmd": request.test_cmd or offered.get("test-cmd"),
            "setup": request.setup or offered.get("setup"),
            "image": request.image or offered.get("image"),
            "protected": (*request.protected, *offered.get("ignore", ())),
        }
    )


def read_issue(settings: SolveSettings, screen: Screen) -> Issue:
    """Raises: UsageError, IssueError, ForgeError."""
    if settings.example:
        from ...examples import issue_text

        return Issue.from_text(issue_text(), source="example")
    if settings.text is not None:
        return Issue.from_text(settings.text)
    if settings.file is not None:
        return Issue.from_text(_read_text(settings.file), source="file")
    if settings.instance is not None:
        return _instance(settings.dataset or "", settings.instance)
    from ..forges import fetch_issue

    issue = fetch_issue(settings.issue or "", on_line=screen.line)
    if settings.open_pr and not settings.force:
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
    from ..benchmarks.dataset import InstanceFilter, load_instances

    instance = load_instances(dataset, select=InstanceFilter(ids=(name,)))[0].without_gold()
    repository = instance.repo if "://" in instance.repo else f"https://github.com/{instance.repo}.git"
    return instance.issue(repository=repository)


def find_repository(settings: SolveSettings, issue: Issue, folder: Path, screen: Screen) -> Path:
    """The checkout to read: --repo, else the issue's own repository (cloned), else the current folder."""
    if settings.example:
        from ...examples import materialise

        return materialise(cache_root() / "example")
    where = settings.repo or issue.repository or "."
    if _is_remote(where):
        from ..forges import clone

        screen.line(f"  repository: {where}  ({'given' if settings.repo else 'from the issue'}) [--repo]")
        kind = "gitlab" if issue.source == "gitlab" else "github"
        clone(where, folder, base=settings.base or issue.base_commit, kind=kind, timeout=settings.timeout)
        return folder
    path = Path(where).expanduser().resolve()
    root = checkout_of(path) or path
    if root != path:
        screen.line(f"  repository: {root}  ({path.name} lies inside it) [--repo]")
    return root


def checkout_of(path: Path) -> Path | None:
    """The repository that a folder is, or lies in; None outside of one."""
    for place in (path, *path.parents):
        if (place / ".git").exists() or ((place / "HEAD").is_file() and (place / "objects").is_dir()):
            return place
    return None


def dirty_lines(settings: SolveSettings, repository: Path) -> list[str]:
    """What a run would leave out: uncommitted changes, named, with the flag that takes them in."""
    from ...tools.git import execute

    if settings.include_dirty or not (repository / ".git").exists():
        return []
    status = execute(repository, "status", "--porcelain", "--untracked-files=normal", user_config=True)
    paths = [line[3:] for line in status.stdout.splitlines()] if status.ok else []
    if not paths:
        return []
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return [f"  uncommitted changes are left out: {shown} (--include-dirty takes them in)"]


def _is_remote(where: str) -> bool:
    return "://" in where or where.startswith("git@")


def check_local(settings: SolveSettings, issue: Issue) -> bool:
    """Whether the repository is a checkout of the user's, and not to be cloned or made; then it must be a git
    repository. Raises: RepositoryError."""
    where = settings.repo or issue.repository or "."
    if settings.example or _is_remote(where):
        return False
    path = Path(where).expanduser()
    if not path.is_dir():
        raise RepositoryError(f"--repo {where}: {'not a' if path.exists() else 'no such'} directory")
    if checkout_of(path.resolve()) is None:
        named = f"--repo {where}" if settings.repo else f"{path.resolve()}"
        raise RepositoryError(f"{named} is not a git repository, nor inside one: name a checkout with --repo")
    return True


def slug_of(issue: Issue) -> str:
    words = "".join(char if char.isalnum() else " " for char in issue.id.lower()).split()
    return "-".join(words)[:48].strip("-") or "issue"
