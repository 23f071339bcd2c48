"""History: a repository that knows nothing later than the base commit.

An agent that can read the future of a repository copies the fix. What `prepare_repository` makes holds the
base commit, its ancestors and the tags on them (setuptools_scm needs those); no remote, no other branch, no
reflog, no FETCH_HEAD, no alternates and no object of any later commit. The source is only read.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from .errors import RepositoryError
from .git import git

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://|^[\w.-]+@[\w.-]+:")
_AUTHOR = {"NAME": "swe-agent", "EMAIL": "swe-agent@localhost"}
_CONFIG = """[core]
\trepositoryformatversion = {version}
\tfilemode = true
\tbare = false
\tlogallrefupdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tname = swe-agent
\temail = swe-agent@localhost
{extensions}"""


def prepare_repository(
    source: str | Path,
    base: str | None,
    destination: Path,
    *,
    include_dirty: bool = False,
    depth: int | None = None,
) -> str:
    """Make `destination` a checkout of `base` with its past and nothing of its future.

    `source` is a local repository (a directory in its work tree, or a bare one); `base` any revision of it,
    None its HEAD. `include_dirty` puts the uncommitted and untracked files of the work tree into one more
    commit on top, which then is the base. `depth` keeps only that many commits (1: the base alone, no
    tags but its own); None keeps all ancestors. The current branch is called `main`.

    Returns the base commit (hex). Raises: RepositoryError when the source is not a git repository or lacks
    the commit, or `destination` is not empty.
    """
    top = _top(source)
    if destination.exists() and any(destination.iterdir()):
        raise RepositoryError(f"{destination} is not empty; name a fresh directory for the working copy")
    commit = _resolve(top, base)
    if include_dirty and commit != _resolve(top, None):
        raise RepositoryError(f"uncommitted changes belong to HEAD, not to {base}; leave out one of the two")
    git_dir = destination / ".git"
    try:
        _init(git_dir, git(top, "rev-parse", "--show-object-format").strip())
        _copy_objects(top, commit, git_dir, depth)
        git(destination, "update-ref", "refs/heads/main", commit)
        git(destination, "read-tree", "HEAD")
        git(destination, "checkout-index", "--all", "--force", "--quiet")
        _copy_submodules(top, destination)
        git(destination, "update-index", "-q", "--refresh", check=False)
        if include_dirty:
            commit = _commit_dirty(top, destination, commit)
        assert_no_future(destination, commit)
    except BaseException:
        shutil.rmtree(destination, ignore_errors=True)
        raise
    return commit


def resolve_commit(source: str | Path, base: str | None = None) -> str:
    """The commit (hex) that `base` names in a local repository; None: HEAD. Raises: RepositoryError."""
    return _resolve(_top(source), base)


def assert_no_future(repository: Path, base: str) -> None:
    """Check that nothing in `repository` leads past `base`.

    Raises: RepositoryError naming the first trace: a remote, a reflog, a ref or a commit that is not an
    ancestor of `base`.
    """
    git_dir = Path(git(repository, "rev-parse", "--absolute-git-dir").strip())
    for name in (
        "FETCH_HEAD",
        "ORIG_HEAD",
        "MERGE_HEAD",
        "objects/info/alternates",
        "worktrees",
        "refs/stash",
    ):
        if (git_dir / name).exists():
            raise _trace(repository, name)
    if git(repository, "remote").strip():
        raise _trace(repository, "a remote")
    logs = git_dir / "logs"
    if logs.is_dir() and any(path.is_file() and path.stat().st_size for path in logs.rglob("*")):
        raise _trace(repository, "a reflog")
    past = set(git(repository, "rev-list", base).split())
    form = "--format=%(objecttype) %(objectname) %(*objectname) %(refname)"
    for line in git(repository, "for-each-ref", form).splitlines():
        kind, *ids, name = line.split()
        if kind not in ("commit", "tag") or ids[-1] not in past:
            raise _trace(repository, f"the ref {name}")
    listed = git(
        repository,
        "cat-file",
        "--batch-all-objects",
        "--unordered",
        "--batch-check=%(objecttype) %(objectname)",
    )
    for match in re.finditer(r"^commit (\w+)$", listed, re.MULTILINE):
        if match[1] not in past:
            raise _trace(repository, f"the commit {match[1]}")


def _trace(repository: Path, what: str) -> RepositoryError:
    return RepositoryError(f"{repository} still shows what came after the base commit: {what}")


def _top(source: str | Path) -> Path:
    """The work tree's root, or the git directory of a bare repository."""
    if _URL.match(str(source)) and not Path(source).exists():
        raise RepositoryError(f"{source} is a URL; clone it first")
    path = Path(source).expanduser()
    if not path.exists():
        raise RepositoryError(f"there is no directory {path}; name a local git repository")
    if not path.is_dir():
        raise RepositoryError(f"{path} is not a directory; name a local git repository")
    try:
        if git(path, "rev-parse", "--is-bare-repository").strip() == "true":
            return Path(git(path, "rev-parse", "--absolute-git-dir").strip())
        return Path(git(path, "rev-parse", "--show-toplevel").rstrip("\n"))
    except RepositoryError as error:
        if "not a git repository" in str(error):
            raise RepositoryError(
                f"{path} is not a git repository, nor inside one: name a checkout"
            ) from error
        raise


def _resolve(top: Path, base: str | None) -> str:
    if base is not None and (base.startswith("-") or not base.strip()):
        raise RepositoryError(f"{base!r} is not a revision")
    for name in ("HEAD",) if base is None else (base, f"origin/{base}"):
        found = git(
            top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False
        )
        if found.strip():
            return found.strip()
    if base is None:
        raise RepositoryError(f"{top} has no commit yet; commit its files first")
    raise RepositoryError(f"{top} has no commit {base}; fetch it there, or name another --base")


def _init(git_dir: Path, object_format: str) -> None:
    for folder in ("objects/pack", "objects/info", "refs/heads", "refs/tags", "info"):
        (git_dir / folder).mkdir(parents=True, exist_ok=True)
    (git_dir / "HEAD").write_text("ref: refs/heads/main\n")
    sha1 = object_format == "sha1"
    extensions = "" if sha1 else f"[extensions]\n\tobjectFormat = {object_format}\n"
    (git_dir / "config").write_text(_CONFIG.format(version=0 if sha1 else 1, extensions=extensions))


def _copy_objects(top: Path, commit: str, git_dir: Path, depth: int | None) -> None:
    """Write one pack with what `commit` and the tags on its past reach, its index beside it.

    pack-objects copies compressed objects and deltas as they are and names them itself; a fetch would
    unpack and hash every object a second time.
    """
    common = Path(git(top, "rev-parse", "--path-format=absolute", "--git-common-dir").rstrip("\n"))
    shallow_file = common / "shallow"
    borders = set(shallow_file.read_text().split()) if shallow_file.is_file() else set[str]()
    past, cut = _past(top, commit, depth)
    borders = (borders & past) | cut
    tags = _tags(top, past)
    marks = [f"--shallow {name}" for name in sorted(borders)]
    command = ["pack-objects", "--revs", "--delta-base-offset", "--quiet", "--missing=allow-promisor"]
    if marks:
        command.append("--shallow")
    lines = [*marks, commit, *(object_id for _, object_id, _ in tags)]
    # Written where it stays: git drafts a pack beside the objects it has, which may be another file system,
    # or one that is not to be written to.
    objects = git(top, "rev-parse", "--path-format=absolute", "--git-path", "objects").rstrip("\n")
    place = {
        "GIT_OBJECT_DIRECTORY": str(git_dir / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": json.dumps(objects, ensure_ascii=False),
    }
    git(
        top,
        *command,
        str(git_dir / "objects/pack/pack"),
        stdin="".join(f"{line}\n" for line in lines),
        env=place,
    )
    if borders:
        (git_dir / "shallow").write_text("".join(f"{name}\n" for name in sorted(borders)))
    packed = "".join(
        f"{object_id} {name}\n" + (f"^{peeled}\n" if peeled != object_id else "")
        for name, object_id, peeled in sorted(tags)
    )
    (git_dir / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + packed)


def _past(top: Path, commit: str, depth: int | None) -> tuple[set[str], set[str]]:
    """`commit` and its ancestors, at most `depth` deep; and those of them whose parents are left out."""
    if depth is None:
        return set(git(top, "rev-list", commit).split()), set()
    if depth < 1:
        raise RepositoryError(f"depth must be at least 1, not {depth}")
    parents: dict[str, list[str]] = {}
    bound = ["--max-count=1"] if depth == 1 else []
    for line in git(top, "rev-list", "--parents", *bound, commit).splitlines():
        name, *above = line.split()
        parents[name] = above
    past, level = {commit}, [commit]
    for _ in range(depth - 1):
        level = [above for name in level for above in parents[name] if above not in past]
        past.update(level)
    return past, {name for name in past if any(above not in past for above in parents[name])}


def _tags(top: Path, past: set[str]) -> list[tuple[str, str, str]]:
    """Tags on commits of `past`: ref name, id of the tag, id of its commit."""
    form = "--format=%(refname) %(objectname) %(objecttype) %(*objectname) %(*objecttype)"
    found: list[tuple[str, str, str]] = []
    for line in git(top, "for-each-ref", form, "refs/tags").splitlines():
        name, *fields = line.split(" ")
        tag, commit = fields[0], (fields[0] if fields[1] == "commit" else fields[2])
        if commit in past and (fields[1] == "commit" or fields[3] == "commit"):
            found.append((name, tag, commit))
    return found


def _copy_submodules(top: Path, destination: Path) -> None:
    """Check out submodules that the source has checked out, each prepared in the same way."""
    for line in git(destination, "ls-files", "-s", "-z").split("\0"):
        if not line.startswith("160000 "):
            continue
        meta, path = line.split("\t", 1)
        if (top / path / ".git").exists():
            prepare_repository(top / path, meta.split()[1], destination / path)


def _commit_dirty(top: Path, destination: Path, base: str) -> str:
    """Commit what differs between the source's work tree and `base`; `base` itself when nothing does.

    The new objects and a private index go to the destination: the source's own index is not even read,
    because refreshing it would write to it.
    """
    if not (top / ".git").exists():
        return base
    index, exclude = destination / ".git" / "dirty-index", destination / ".git" / "info" / "exclude"
    common = Path(git(top, "rev-parse", "--path-format=absolute", "--git-common-dir").rstrip("\n"))
    if (common / "info" / "exclude").is_file():
        shutil.copyfile(common / "info" / "exclude", exclude)
    env = {"GIT_DIR": str(destination / ".git"), "GIT_WORK_TREE": str(top), "GIT_INDEX_FILE": str(index)}
    try:
        git(top, "read-tree", base, env=env)
        git(top, "-c", "core.safecrlf=false", "add", "--all", ".", env=env, user_config=True)
        tree = git(top, "write-tree", env=env).strip()
    finally:
        index.unlink(missing_ok=True)
        exclude.unlink(missing_ok=True)
    if tree == git(destination, "rev-parse", f"{base}^{{tree}}").strip():
        return base
    date = git(destination, "show", "-s", "--format=%ct +0000", base).strip()
    people = {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in _AUTHOR.items()}
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    commit = git(
        destination, "commit-tree", tree, "-p", base, "-m", "Uncommitted changes", env={**people, **dates}
    ).strip()
    git(destination, "update-ref", "refs/heads/main", commit)
    git(destination, "read-tree", "-u", "--reset", commit)
    return commit
