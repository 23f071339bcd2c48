"""push_patch: a patch becomes a commit on a branch of a remote, pushed from the host."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import ForgeError, PatchError, RepositoryError
from ...tools.patch import Patch
from .cloning import resolve
from .host_git import HostGit
from .reference import Kind
from .tokens import TokenSource


@dataclass(frozen=True, slots=True)
class Push:
    """What is pushed where: a commit with `message` on `base` of `source` to `branch` of `target`."""

    source: str
    """Clone URL of the repository that has `base`."""
    target: str
    """Clone URL of the repository that gets the branch."""
    base: str
    branch: str
    message: str
    author: str
    """Login on the forge, used where git has no identity of its own."""
    host: str
    kind: Kind = "github"
    force: bool = True
    """Overwrite the branch; otherwise it may only grow."""


def push_patch(push: Push, patch: Patch, tokens: TokenSource) -> str:
    """Returns the commit (hex). Raises: PatchError when the patch does not apply on the base;
    RepositoryError, ForgeError."""
    with tempfile.TemporaryDirectory(prefix="swe-agent-push-") as folder:
        checkout = Path(folder) / "checkout"
        with HostGit(push.source, tokens, push.kind) as git:
            git.run("clone", "--quiet", "--filter=blob:none", "--no-checkout", "--", git.url, str(checkout))
            base = resolve(git, checkout, push.base)
            git.run("checkout", "--quiet", "--detach", base, cwd=checkout)
            try:
                git.run("apply", "--index", "--whitespace=nowarn", "-", cwd=checkout, stdin=patch.text)
            except (ForgeError, RepositoryError) as error:
                raise PatchError(f"the patch does not apply on {base[:12]}: {error}") from error
            identity = _identity(git, checkout, push)
            git.run(
                *identity, "commit", "--quiet", "--no-verify", "-F", "-", cwd=checkout, stdin=push.message
            )
            commit = git.run("rev-parse", "HEAD", cwd=checkout).strip()
        with HostGit(push.target, tokens, push.kind) as git:
            force = ("--force",) if push.force else ()
            git.run("push", "--quiet", *force, "--", git.url, f"HEAD:refs/heads/{push.branch}", cwd=checkout)
    return commit


def _identity(git: HostGit, checkout: Path, push: Push) -> list[str]:
    """The user's own git identity, else their address on the forge."""
    try:
        if git.run("config", "user.email", cwd=checkout).strip():
            return []
    except (ForgeError, RepositoryError):
        pass
    host = push.host.split(":")[0]
    return ["-c", f"user.name={push.author}", "-c", f"user.email={push.author}@users.noreply.{host}"]
