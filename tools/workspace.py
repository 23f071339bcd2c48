"""Workspace: the repository checked out in a sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from .artefacts import is_artefact
from .errors import PatchError
from .patch import Patch
from .sandbox import ExecResult, Sandbox

_GIT = "git -c core.quotepath=off -c core.fsmonitor=false -c core.hooksPath=/dev/null -c gc.auto=0"
_INDEX = ".git/swe-agent-index"
_OUTPUT = ".git/swe-agent-output"
"""What git says goes through a file: the output of a command is decoded with replacement, and a patch or a
name that is not UTF-8 would be damaged."""

_TREE = ".git/swe-agent-tree"
_PATHS = ".git/swe-agent-paths"
_UNBLOCK = "find . -xdev -type p \\( -path './.git/*' -o -name '.git*' \\) -delete 2>/dev/null"
"""Git would read from such a named pipe for ever."""
_STAGE = (
    f"export LC_ALL=C; {_UNBLOCK}; rm -rf {_INDEX} {_INDEX}.lock {_TREE}; [ -f .git/index ] && cp -pf .git/index {_INDEX} 2>/dev/null; "
    f"export GIT_INDEX_FILE={_INDEX}; {_GIT} add -A . >/dev/null && {_GIT} write-tree > {_TREE}"
)
_STAGE_S = 300.0
_EMBEDDED, _UNREADABLE = "embedded git repository", "ermission denied"
_READABLE = "find . -path ./.git -prune -o -type d ! -perm -u=rwx -exec chmod u+rwx {} + 2>/dev/null"
_NESTED = (
    "find . -mindepth 2 -name .git -prune -printf '%h\\0' 2>/dev/null | while IFS= read -r -d '' at; do "
    + _GIT
    + """ ls-tree "$base" -- "${at#./}" | grep -q ^160000 || printf '%s\\0' "$at"; done"""
)
"""Directories with a `.git` of their own that are no submodules of the repository."""
MOST_FILES, MOST_BYTES = 2000, 4 << 20
"""What a patch may touch and hold."""
LARGE_FILE_BYTES = 1 << 20
_MOST_TEXT_BYTES = 64 << 20
"""Of the texts before and after that go with a patch."""


@dataclass(frozen=True, slots=True)
class _Change:
    """One file that differs from the base: modes and blobs before and after; None: not there, or no file."""

    path: str
    nested: bool
    old: str | None
    new: str | None

    @classmethod
    def of(cls, line: str, path: str) -> _Change:
        """From git's raw format, `:MODE MODE BLOB BLOB STATUS`."""
        old_mode, new_mode, old, new, _ = line.removeprefix(":").split(" ")
        none = {"160000", "000000"}
        return cls(
            path,
            new_mode == "160000" and old_mode == "000000",
            None if old_mode in none else old,
            None if new_mode in none else new,
        )


class Workspace:
    """A forkable working tree on one base commit. Owns its sandbox and closes it."""

    def __init__(self, sandbox: Sandbox, base_commit: str, *, env: Mapping[str, str] | None = None) -> None:
        self.sandbox = sandbox
        self.base_commit = base_commit
        self.env = dict(env or {})
        self.left_out: tuple[str, ...] = ()
        """Directories that the last diff left out: git repositories of their own."""
        self.too_large: tuple[str, ...] = ()
        """New files that the last diff left out, as it was larger than a patch may be."""

    @property
    def root(self) -> PurePosixPath:
        return self.sandbox.root

    def exec(
        self, cmd: str, *, timeout: float | None = None, env: Mapping[str, str] | None = None
    ) -> ExecResult:
        """Run a shell command at the root of the repository. See `Sandbox.exec`."""
        return self.sandbox.exec(cmd, timeout=timeout, env={**self.env, **(env or {})})

    def fork(self) -> Workspace:
        return Workspace(self.sandbox.fork(), self.base_commit, env=self.env)

    def close(self) -> None:
        self.sandbox.close()

    def refresh_index(self) -> None:
        """Bring the times and owners in git's index to what this sandbox shows. Where they are off, every
        later `git status` and `tree_hash`, here and in forks, reads every file."""
        self.sandbox.exec(f"{_GIT} update-index -q --refresh >/dev/null 2>&1", timeout=300)

    def tree_hash(self) -> str:
        """Git tree id (40 hex digits) of everything not ignored, staged through a private index.

        Git repositories of their own that were made in the tree (clones, worktrees, an empty `git init`) are
        left out, and `left_out` names them; directories that were made unreadable are made readable again,
        and named pipes that stand in the way are removed. Raises: PatchError when git cannot read the tree.
        """
        done = self.sandbox.exec(_STAGE, timeout=_STAGE_S)
        if done.exit_code != 0 or self.left_out or _EMBEDDED in done.output or _UNREADABLE in done.output:
            self._stage_without_nested()
        return self._tree()

    def _tree(self) -> str:
        try:
            return self.read_text(_TREE).strip()
        except OSError as error:
            raise PatchError(f"no diff can be taken of the working tree: {error}") from error

    def _stage_without_nested(self) -> None:
        names = self._git(f"{_READABLE}; base={self.base_commit}; {_NESTED}")
        self.left_out = tuple(sorted(name.removeprefix("./") for name in names.split("\0") if name))
        self._stage_without(self.left_out)

    def _stage_without(self, paths: Sequence[str]) -> None:
        literal = "".join(f":(top,literal){name}\0" for name in paths)
        exclude = literal.replace(":(top,", ":(top,exclude,")
        try:
            self.sandbox.exec(["rm", "-rf", _PATHS, f"{_PATHS}.not"])
            self.write_text(_PATHS, literal)
            self.write_text(f"{_PATHS}.not", f".\0{exclude}")
        except OSError as error:
            raise PatchError(f"no diff can be taken of the working tree: {error}") from error
        unstage = (
            f"{_GIT} rm -r -q -f --cached --ignore-unmatch --pathspec-from-file={_PATHS} --pathspec-file-nul"
        )
        unstage = f"{unstage} && " if paths else ""
        listed = f"--pathspec-from-file={_PATHS}.not --pathspec-file-nul"
        self._git(_STAGE.replace(f"{_GIT} add -A .", f"{unstage}{_GIT} add -A {listed}"))

    def diff(self) -> Patch:
        """Everything that differs from the base commit, untracked files included, ignored ones not.

        Where that is more than a patch may hold, new files that are artefacts or over 1 MiB are left out, and
        `too_large` names them. Raises: PatchError when it still is, or git cannot read the tree.
        """
        self.too_large = ()
        tree = self.tree_hash()
        changes = self._changes(tree)
        if any(change.nested for change in changes) and not self.left_out:
            self._stage_without_nested()  # one that was committed is in the index and no longer warned of
            tree = self._tree()
            changes = self._changes(tree)
        sizes = self._sizes({blob for change in changes for blob in (change.old, change.new) if blob})
        if len(changes) > MOST_FILES or _added(changes, sizes) > MOST_BYTES:
            tree, changes = self._without_large(tree, changes, sizes)
        text = self._text_of(tree)
        texts = self._texts(sizes, changes)
        return Patch(
            text,
            after={change.path: texts.get(change.new or "") for change in changes},
            before={change.path: texts.get(change.old or "") for change in changes},
        )

    def _changes(self, tree: str) -> list[_Change]:
        raw = self._git(
            f"{_GIT} diff-tree -r -z --raw --full-index --no-renames {self.base_commit} {tree}"
        ).split("\0")
        return [_Change.of(line, path) for line, path in zip(raw[::2], raw[1::2], strict=False)]

    def _without_large(
        self, tree: str, changes: Sequence[_Change], sizes: Mapping[str, int]
    ) -> tuple[str, list[_Change]]:
        large = {
            change.path
            for change in changes
            if change.new
            and not change.old
            and (sizes.get(change.new, 0) > LARGE_FILE_BYTES or is_artefact(change.path))
        }
        if large:
            self.too_large = tuple(sorted(large))
            self._stage_without((*self.left_out, *self.too_large))
            tree = self._tree()
        kept = [change for change in changes if change.path not in large]
        if len(kept) > MOST_FILES:
            raise PatchError(
                f"the change touches {len(kept):,} files{_fullest(kept)}, and a patch may touch {MOST_FILES:,}: "
                "delete what does not belong to it"
            )
        return tree, kept

    def _sizes(self, blobs: Collection[str]) -> dict[str, int]:
        """Bytes of each blob."""
        if not blobs:
            return {}
        told = self._git(f"{_GIT} cat-file --batch-check", "\n".join(sorted(blobs)))
        fields = [line.split(" ") for line in told.splitlines()]
        return {blob: int(size) for blob, kind, size in (f for f in fields if len(f) == 3) if kind == "blob"}

    def _texts(self, sizes: Mapping[str, int], changes: Sequence[_Change]) -> dict[str, str | None]:
        """The text of each blob, by one command; None for bytes that are no text."""
        wanted: list[str] = []
        left = _MOST_TEXT_BYTES
        for blob in dict.fromkeys(b for change in changes for b in (change.old, change.new) if b):
            left -= sizes.get(blob, left)
            if left > 0:
                wanted.append(blob)
        if not wanted:
            return {}
        told = self._output(f"{_GIT} cat-file --batch", "\n".join(wanted))
        texts: dict[str, str | None] = {}
        at = 0
        for blob in wanted:
            start = told.index(b"\n", at) + 1
            at = start + sizes[blob] + 1
            texts[blob] = _text(told[start : at - 1])
        return texts

    def _text_of(self, tree: str) -> str:
        text = self._git(
            f"{_GIT} diff-tree -r -p --no-color --no-ext-diff --no-textconv --binary --full-index "
            f"--no-renames {self.base_commit} {tree}"
        )
        if len(text) > MOST_BYTES:
            raise PatchError(
                f"the change makes a patch of {len(text) / 1e6:.1f} MB, and one may have {MOST_BYTES >> 20} MiB: "
                "delete what does not belong to it"
            )
        return text

    def apply(self, patch: Patch) -> None:
        """Apply a patch to the working tree. Raises: PatchError with git's own words; nothing is changed then."""
        if patch.is_empty:
            return
        done = self.sandbox.exec(
            ["git", "apply", "--whitespace=nowarn", "-"], stdin=patch.text.encode("utf-8", "surrogateescape")
        )
        if done.exit_code != 0:
            raise PatchError(f"the patch does not apply: {done.output.strip()}")

    def read_text(self, path: str) -> str:
        return self.sandbox.read_bytes(path).decode("utf-8", "surrogateescape")

    def write_text(self, path: str, text: str) -> None:
        self.sandbox.write_bytes(path, text.encode("utf-8", "surrogateescape"))

    def _git(self, script: str, stdin: str = "") -> str:
        return self._output(script, stdin).decode("utf-8", "surrogateescape")

    def _output(self, script: str, stdin: str) -> bytes:
        done = self.sandbox.exec(
            f"rm -rf {_OUTPUT}; {{ {script}; }} > {_OUTPUT}", timeout=_STAGE_S, stdin=stdin.encode()
        )
        if done.exit_code != 0:
            said = f"git took more than {_STAGE_S:.0f} s" if done.timed_out else done.output.strip()[-500:]
            raise PatchError(f"no diff can be taken of the working tree: {said}")
        try:
            return self.sandbox.read_bytes(_OUTPUT)
        except OSError as error:
            raise PatchError(f"no diff can be taken of the working tree: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _text(data: bytes) -> str | None:
    return None if b"\0" in data else data.decode("utf-8", "surrogateescape")


def _added(changes: Sequence[_Change], sizes: Mapping[str, int]) -> int:
    """Bytes of new files."""
    return sum(sizes.get(change.new, 0) for change in changes if change.new and not change.old)


def _fullest(changes: Sequence[_Change]) -> str:
    """Where most of the files lie."""
    counts = Counter(change.path.partition("/")[0] for change in changes if "/" in change.path)
    if not counts:
        return ""
    folder, count = counts.most_common(1)[0]
    return f" ({count:,} of them in {folder}/)"
