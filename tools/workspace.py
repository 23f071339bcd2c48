"""Workspace: the repository checked out in a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

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
_STAGE = (
    f"export LC_ALL=C; cp -f .git/index {_INDEX} 2>/dev/null; export GIT_INDEX_FILE={_INDEX}; "
    f"{_GIT} add -A . >/dev/null && {_GIT} write-tree > {_TREE}"
)
_EMBEDDED, _UNREADABLE = "embedded git repository", "ermission denied"
_READABLE = "find . -path ./.git -prune -o -type d ! -perm -u=rwx -exec chmod u+rwx {} + 2>/dev/null"
_NESTED = (
    "find . -mindepth 2 -name .git -prune -printf '%h\\0' 2>/dev/null | while IFS= read -r -d '' at; do "
    + _GIT
    + """ ls-tree "$base" -- "${at#./}" | grep -q ^160000 || printf '%s\\0' "$at"; done"""
)
"""Directories with a `.git` of their own that are no submodules of the repository."""


class Workspace:
    """A forkable working tree on one base commit. Owns its sandbox and closes it."""

    def __init__(self, sandbox: Sandbox, base_commit: str, *, env: Mapping[str, str] | None = None) -> None:
        self.sandbox = sandbox
        self.base_commit = base_commit
        self.env = dict(env or {})
        self.left_out: tuple[str, ...] = ()
        """Directories that the last diff left out: git repositories of their own."""

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
        left out, and `left_out` names them; directories that were made unreadable are made readable again.
        """
        done = self.sandbox.exec(_STAGE, timeout=300)
        told = done.output
        if done.exit_code != 0 or self.left_out or _EMBEDDED in told or _UNREADABLE in told:
            self._stage_without_nested()
        return self.read_text(_TREE).strip()

    def _stage_without_nested(self) -> None:
        names = self._git(f"{_READABLE}; base={self.base_commit}; {_NESTED}")
        self.left_out = tuple(sorted(name.removeprefix("./") for name in names.split("\0") if name))
        literal = "".join(f":(top,literal){name}\0" for name in self.left_out)
        exclude = literal.replace(":(top,", ":(top,exclude,")
        self.write_text(_PATHS, literal)
        self.write_text(f"{_PATHS}.not", f".\0{exclude}")
        unstage = (
            f"{_GIT} rm -r -q -f --cached --ignore-unmatch --pathspec-from-file={_PATHS} --pathspec-file-nul"
        )
        unstage = f"{unstage} && " if self.left_out else ""
        listed = f"--pathspec-from-file={_PATHS}.not --pathspec-file-nul"
        self._git(_STAGE.replace(f"{_GIT} add -A .", f"{unstage}{_GIT} add -A {listed}"))

    def diff(self) -> Patch:
        """Everything that differs from the base commit, untracked files included, ignored ones not."""
        tree = self.tree_hash()
        text = self._text_of(tree)
        if "\nnew file mode 160000\n" in text and not self.left_out:
            self._stage_without_nested()  # one that was committed is in the index and no longer warned of
            tree = self.read_text(_TREE).strip()
            text = self._text_of(tree)
        names = self._git(f"{_GIT} diff-tree -r -z --no-renames --name-only {self.base_commit} {tree}")
        paths = [name for name in names.split("\0") if name]
        return Patch(
            text,
            after={path: self._text_now(path) for path in paths},
            before={path: self._text_at_base(path) for path in paths},
        )

    def _text_of(self, tree: str) -> str:
        return self._git(
            f"{_GIT} diff-tree -r -p --no-color --no-ext-diff --no-textconv --binary --full-index "
            f"--no-renames {self.base_commit} {tree}"
        )

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

    def _git(self, script: str) -> str:
        done = self.sandbox.exec(f"{{ {script}; }} > {_OUTPUT}", timeout=300)
        if done.exit_code != 0:
            raise PatchError(f"no diff can be taken of the working tree: {done.output.strip()[-500:]}")
        return self.read_text(_OUTPUT)

    def _text_now(self, path: str) -> str | None:
        try:
            return _text(self.sandbox.read_bytes(path))
        except OSError:
            return None

    def _text_at_base(self, path: str) -> str | None:
        done = self.sandbox.exec(
            f'git show "$WANTED" > {_OUTPUT}', env={"WANTED": f"{self.base_commit}:{path}"}
        )
        return _text(self.sandbox.read_bytes(_OUTPUT)) if done.exit_code == 0 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _text(data: bytes) -> str | None:
    return None if b"\0" in data else data.decode("utf-8", "surrogateescape")
