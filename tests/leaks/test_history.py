from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.tools.errors import RepositoryError
from swe_agent.tools.history import assert_no_future, prepare_repository


class Repo:
    """A repository whose commits get later by a day each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.day = 0
        subprocess.run(["git", "init", "-q", "-b", "main", str(path)], check=True)
        for setting in ("user.name=t", "user.email=t@localhost", "commit.gpgsign=false"):
            self.git("config", *setting.split("="))

    def git(self, *arguments: str, check: bool = True) -> str:
        date = f"2020-01-{self.day % 28 + 1:02}T00:00:00Z"
        env = {**os.environ, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def commit(self, name: str, text: str) -> str:
        (self.path / name).write_text(text)
        self.day += 1
        self.git("add", "-A")
        self.git("commit", "-qm", f"{name}: {text[:20]}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def source(tmp_path: Path) -> Repo:
    """Five commits, branches, tags, a stash, a remote and a reflog."""
    repo = Repo(tmp_path / "source")
    for n in range(5):
        repo.commit("a.py", f"x = {n}\n")
        repo.git("tag", f"v{n}")
        repo.git("tag", "-a", f"annotated{n}", "-m", "release")
    repo.git("branch", "side", "HEAD~1")
    repo.git("checkout", "-q", "side")
    repo.commit("side.py", "SIDE = 1\n")
    repo.git("checkout", "-q", "main")
    (repo.path / "a.py").write_text("stashed\n")
    repo.git("stash")
    repo.git("remote", "add", "origin", "https://example.org/x.git")
    return repo


def git(path: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(path), *arguments], check=True, capture_output=True, text=True
    ).stdout


def fingerprint(path: Path) -> dict[str, tuple[int, str]]:
    return {
        str(file.relative_to(path)): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_the_past_and_nothing_else(source: Repo, tmp_path: Path) -> None:
    base = source.git("rev-parse", "HEAD~2")
    future = [source.git("rev-parse", name) for name in ("main", "side", "stash@{0}", "v3", "annotated4")]
    work = tmp_path / "work"
    assert prepare_repository(source.path, "HEAD~2", work) == base
    assert (work / "a.py").read_text() == "x = 2\n"
    assert git(work, "tag").split() == ["annotated0", "annotated1", "annotated2", "v0", "v1", "v2"]
    assert git(work, "describe", "--tags", "--exact-match").startswith(("annotated2", "v2"))
    assert git(work, "branch", "-a").split() == ["*", "main"]
    assert git(work, "log", "--all", "--format=%H", "--since=2020-01-04T00:00:01Z") == ""
    assert git(work, "rev-list", "--count", "--all").strip() == "3"
    assert git(work, "reflog") == git(work, "remote") == git(work, "stash", "list") == ""
    assert git(work, "status", "--porcelain") == ""
    assert git(work, "fsck", "--full", "--strict").strip() == ""
    for name in future:
        done = subprocess.run(["git", "-C", str(work), "cat-file", "-e", name], capture_output=True)
        assert done.returncode != 0, f"{name} is still there"
    blob = source.git("rev-parse", "HEAD:a.py")
    assert (
        subprocess.run(["git", "-C", str(work), "cat-file", "-e", blob], capture_output=True).returncode != 0
    )
    for name in ("FETCH_HEAD", "ORIG_HEAD", "logs", "objects/info/alternates", "hooks"):
        assert not (work / ".git" / name).exists()


def test_the_source_is_not_touched(source: Repo, tmp_path: Path) -> None:
    (source.path / "a.py").write_text("dirty\n")
    (source.path / "new.txt").write_text("untracked\n")
    os.utime(source.path / "a.py", (1, 1))
    before = fingerprint(source.path)
    prepare_repository(source.path, None, tmp_path / "clean")
    prepare_repository(source.path, None, tmp_path / "dirty", include_dirty=True)
    assert fingerprint(source.path) == before
    assert (tmp_path / "clean" / "a.py").read_text() == "x = 4\n"


def test_uncommitted_changes_become_one_commit(source: Repo, tmp_path: Path) -> None:
    (source.path / ".git" / "info").mkdir(exist_ok=True)
    (source.path / ".git" / "info" / "exclude").write_text("*.secret\n")
    (source.path / ".gitignore").write_text("*.log\n")
    for name in ("new.txt", "x.log", "y.secret"):
        (source.path / name).write_text("untracked\n")
    (source.path / "run.sh").write_text("#!/bin/sh\n")
    (source.path / "run.sh").chmod(0o755)
    (source.path / "a.py").unlink()
    head = source.git("rev-parse", "HEAD")
    work = tmp_path / "work"
    base = prepare_repository(source.path, None, work, include_dirty=True)
    assert git(work, "rev-parse", f"{base}^").strip() == head
    changed = git(work, "diff", "--name-status", "--no-renames", f"{base}^", base).split("\n")
    assert sorted(changed) == ["", "A\t.gitignore", "A\tnew.txt", "A\trun.sh", "D\ta.py"]
    assert (work / "new.txt").read_text() == "untracked\n"
    assert os.access(work / "run.sh", os.X_OK)
    assert not (work / "a.py").exists()
    assert git(work, "status", "--porcelain") == ""
    again = prepare_repository(source.path, None, tmp_path / "again", include_dirty=True)
    assert again == base, "the same changes are the same commit"


def test_a_clean_tree_gets_no_extra_commit(source: Repo, tmp_path: Path) -> None:
    assert prepare_repository(source.path, None, tmp_path / "w", include_dirty=True) == source.git(
        "rev-parse", "HEAD"
    )


def test_a_dirty_file_that_equals_a_later_one_is_complete(source: Repo, tmp_path: Path) -> None:
    source.git("checkout", "-q", "v1")
    (source.path / "a.py").write_text("x = 4\n")
    work = tmp_path / "work"
    prepare_repository(source.path, None, work, include_dirty=True)
    assert git(work, "show", "HEAD:a.py") == "x = 4\n"


def test_dirty_needs_head(source: Repo, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="HEAD"):
        prepare_repository(source.path, "v1", tmp_path / "w", include_dirty=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting another file system needs root")
def test_a_copy_on_another_file_system_from_a_source_that_cannot_be_written_to(
    source: Repo, tmp_path: Path
) -> None:
    other, shown = tmp_path / "other", tmp_path / 'shown: "read-only"'
    other.mkdir()
    shown.mkdir()
    mounts = (
        ["mount", "-t", "tmpfs", "tmpfs", other],
        ["mount", "--bind", source.path, shown],
        ["mount", "-o", "remount,ro,bind", shown],
    )
    try:
        for mount in mounts:
            if subprocess.run(mount, capture_output=True).returncode != 0:
                pytest.skip("this machine does not let root mount")
        base = source.git("rev-parse", "HEAD~1")
        assert prepare_repository(shown, base, other / "copy") == base
        assert (
            git(other / "copy", "log", "--format=%H").split()
            == source.git("log", "--format=%H", base).split()
        )
        assert not (other / "copy/.git/objects/info/alternates").exists()
        git(other / "copy", "fsck", "--full", "--strict")
    finally:
        for place in (shown, other):
            subprocess.run(["umount", place], capture_output=True)


@pytest.mark.parametrize("depth", [1, 2, 99])
def test_depth(source: Repo, tmp_path: Path, depth: int) -> None:
    work = tmp_path / "work"
    prepare_repository(source.path, "v3", work, depth=depth)
    assert git(work, "rev-list", "--count", "HEAD").strip() == str(min(depth, 4))
    assert "v3" in git(work, "tag").split()
    assert git(work, "status", "--porcelain") == ""
    git(work, "fsck", "--full")


def test_a_shallow_source(source: Repo, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=2", f"file://{source.path}", str(shallow)], check=True)
    work = tmp_path / "work"
    prepare_repository(shallow, None, work)
    assert git(work, "rev-list", "--count", "HEAD").strip() == "2"
    git(work, "fsck", "--full")


def test_other_sources(source: Repo, tmp_path: Path) -> None:
    (source.path / "folder").mkdir()
    head = source.git("rev-parse", "HEAD")
    assert prepare_repository(source.path / "folder", None, tmp_path / "1") == head
    subprocess.run(["git", "clone", "-q", "--bare", str(source.path), str(tmp_path / "bare")], check=True)
    assert prepare_repository(tmp_path / "bare", "side", tmp_path / "2") == source.git("rev-parse", "side")
    source.git("worktree", "add", "-q", str(tmp_path / "tree"), "v2")
    assert prepare_repository(tmp_path / "tree", None, tmp_path / "3") == source.git("rev-parse", "v2")
    source.git("checkout", "-q", "v0")
    source.git("branch", "-D", "main", "side")
    subprocess.run(["git", "clone", "-q", "--shared", str(source.path), str(tmp_path / "shared")], check=True)
    assert prepare_repository(tmp_path / "shared", "v4", tmp_path / "4") == head


def test_submodules_come_along(source: Repo, tmp_path: Path) -> None:
    inner = Repo(tmp_path / "inner")
    first = inner.commit("lib.py", "1\n")
    source.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "vendor/inner"
    )
    source.git("commit", "-qm", "submodule")
    later = inner.commit("lib.py", "2\n")
    work = tmp_path / "work"
    prepare_repository(source.path, None, work)
    assert (work / "vendor/inner/lib.py").read_text() == "1\n"
    assert git(work / "vendor/inner", "rev-parse", "HEAD").strip() == first
    assert git(work, "status", "--porcelain") == ""
    assert later not in git(work / "vendor/inner", "rev-list", "--all")


def test_what_is_not_a_repository(tmp_path: Path, source: Repo) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("")
    Repo(tmp_path / "empty")
    for place, base, words in (
        (tmp_path / "plain", None, "not a git repository"),
        (tmp_path / "file", None, "not a directory"),
        (tmp_path / "nowhere", None, "no directory"),
        (tmp_path / "empty", None, "no commit yet"),
        ("https://example.org/x.git", None, "clone it first"),
        (source.path, "nope", "no commit nope"),
        (source.path, "0" * 40, "no commit"),
        (source.path, "--all", "not a revision"),
        (source.path, "", "not a revision"),
    ):
        with pytest.raises(RepositoryError, match=words) as caught:
            prepare_repository(place, base, tmp_path / "w")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "w").exists()
    with pytest.raises(RepositoryError, match="not empty"):
        prepare_repository(source.path, None, source.path)


def test_every_trace_of_the_future_is_found(source: Repo, tmp_path: Path) -> None:
    base = source.git("rev-parse", "v2")

    def fresh(name: str) -> Path:
        prepare_repository(source.path, "v2", tmp_path / name)
        return tmp_path / name

    def fetched(name: str) -> Path:
        path = fresh(name)
        git(path, "fetch", "-q", str(source.path), "main")
        return path

    remote = fresh("remote")
    git(remote, "remote", "add", "origin", "x")
    dropped = fetched("dropped")
    (dropped / ".git/FETCH_HEAD").unlink()
    branch = fetched("branch")
    (branch / ".git/FETCH_HEAD").rename(branch / ".git/refs/heads/later")
    (branch / ".git/refs/heads/later").write_text(source.git("rev-parse", "main") + "\n")
    reflog = fresh("reflog")
    git(reflog, "-c", "core.logAllRefUpdates=true", "update-ref", "--create-reflog", "refs/heads/x", base)
    alternates = fresh("alternates")
    (alternates / ".git/objects/info/alternates").write_text(f"{source.path}/.git/objects\n")
    assert_no_future(fresh("clean"), base)
    for path, words in (
        (remote, "a remote"),
        (fetched("fetched"), "FETCH_HEAD"),
        (dropped, "the commit"),
        (branch, "the ref refs/heads/later"),
        (reflog, "a reflog"),
        (alternates, "alternates"),
    ):
        with pytest.raises(RepositoryError, match=words):
            assert_no_future(path, base)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_history_at_any_commit(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the graph, the copy holds exactly the ancestors of the base, and is complete."""
    folder = tmp_path_factory.mktemp("any")
    repo = Repo(folder / "source")
    commits: list[str] = []
    for n in range(data.draw(st.integers(1, 7))):
        tree_text = data.draw(st.sampled_from(["same", f"text {n}"]))
        (repo.path / "f").write_text(tree_text)
        repo.git("add", "-A")
        tree = repo.git("write-tree")
        parents = data.draw(st.lists(st.sampled_from(commits), max_size=2, unique=True)) if commits else []
        repo.day = data.draw(st.integers(0, 20))  # clocks go backwards in real histories
        arguments = [word for parent in parents for word in ("-p", parent)]
        commits.append(repo.git("commit-tree", tree, *arguments, "-m", f"c{n}"))
        repo.git("branch", f"b{n}", commits[-1])
        if data.draw(st.booleans()):
            repo.git("tag", f"t{n}", commits[-1])
    base = data.draw(st.sampled_from(commits))
    prepare_repository(repo.path, base, folder / "work")
    past = set(repo.git("rev-list", base).split())
    assert set(git(folder / "work", "rev-list", "--all").split()) == past
    git(folder / "work", "fsck", "--full")
