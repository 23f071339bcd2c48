"""git on the host: one runner that listens to nobody but its caller.

A repository is foreign data, and so is its `.git/config`. What is run here sees no `GIT_*` variable of the
process, runs no hook, file system monitor, credential helper or ssh command of the repository, asks no
question, fetches nothing on its own (a partial clone would name its own transport), and ends in time.

Commands are started directly: GitPython hands every command the whole environment of the process, and a
command through it costs more (`bench/overhead.py`'s run makes dozens). `open_repo` gives GitPython's `Repo`
with the same walls where its objects are handy.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RepositoryError

if TYPE_CHECKING:
    from git import Repo

TIMEOUT_S = 900.0
NO_PROTOCOL = "none"
"""For GIT_ALLOW_PROTOCOL: no transport at all."""
_SETTINGS = (
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.askPass=",
    "core.pager=cat",
    "core.editor=false",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.alternateRefsCommand=true",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.detachedHead=false",
)
"""Settings of the command line: they win over those of the repository, whatever it says."""
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
_NO_USER_CONFIG = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


@dataclass(frozen=True, slots=True)
class GitResult:
    """What one git command did. `stdout` keeps bytes that are no UTF-8 (surrogateescape)."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def reason(self) -> str:
        """git's last line about what went wrong."""
        words = self.stderr.strip().splitlines()
        return words[-1] if words else f"exit code {self.exit_code}"


class GitTimeout(RepositoryError):
    """git did not end in time."""


def git_environment(
    *,
    user_config: bool = False,
    protocols: str = NO_PROTOCOL,
    settings: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The environment git runs in: the process's without its `GIT_*` variables, and the walls.

    `user_config` lets git read the user's and the system's configuration (never lets it win over the walls);
    `protocols` are the transports it may use (`file`, `https:ssh`), `settings` further `name=value` pairs.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= _ENVIRONMENT | {"GIT_ALLOW_PROTOCOL": protocols}
    if not user_config:
        env |= _NO_USER_CONFIG
    pairs = [*_SETTINGS, *settings]
    for number, setting in enumerate(pairs):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = setting.split("=", 1)
    env["GIT_CONFIG_COUNT"] = str(len(pairs))
    return env | dict(more or {})


def execute(
    where: Path | None,
    *arguments: str,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    user_config: bool = False,
    protocols: str = NO_PROTOCOL,
    settings: Sequence[str] = (),
    timeout: float | None = TIMEOUT_S,
) -> GitResult:
    """Run git in `where` and say what it did; `env` comes on top of the clean environment.

    Raises: RepositoryError when git is not installed or `where` is gone; GitTimeout after `timeout` seconds.
    """
    own = git_environment(user_config=user_config, protocols=protocols, settings=settings, more=env)
    data = (stdin or "").encode("utf-8", "surrogateescape")
    try:
        code, out, err = _run(["git", *arguments], where, own, data, timeout)
    except FileNotFoundError as error:
        if where is not None and not where.exists():
            raise RepositoryError(f"there is no directory {where}") from error
        raise RepositoryError("git is not installed; install it first") from error
    except NotADirectoryError as error:
        raise RepositoryError(f"{where} is not a directory") from error
    except subprocess.TimeoutExpired as error:
        raise GitTimeout(f"git {arguments[0]} in {where} took more than {timeout:g} s") from error
    return GitResult(code, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "replace"))


def _run(
    argv: Sequence[str], where: Path | None, env: Mapping[str, str], data: bytes, timeout: float | None
) -> tuple[int, bytes, bytes]:
    """(exit code, stdout, stderr). What git started (a transport that waits for its server) ends with it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=where, env=env, stdin=pipe, stdout=pipe, stderr=pipe, process_group=0
    ) as process:
        try:
            out, err = process.communicate(data, timeout)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out, err


def git(where: Path, *arguments: str, check: bool = True, **options: Any) -> str:
    """git's stdout; `options` are those of `execute`. With `check` a failure is an error, in git's own words.

    Raises: RepositoryError.
    """
    done = execute(where, *arguments, **options)
    if check and not done.ok:
        raise RepositoryError(f"git {arguments[0]} failed in {where}: {done.reason}")
    return done.stdout


def own_filters_off(where: Path) -> tuple[str, ...]:
    """Settings that switch off the content filters which the repository's own configuration names: a checkout
    that came from elsewhere must not choose programs. Those of the user's configuration stay."""
    listed = execute(
        where, "config", "--local", "--includes", "--name-only", "-z", "--get-regexp", r"^filter\."
    )
    names = {name for name in listed.stdout.split("\0") if "=" not in name and name.count(".") >= 2}
    drivers = {name.rpartition(".")[0] for name in names}
    off = ("clean=", "smudge=", "process=", "required=false")
    return tuple(f"{driver}.{what}" for driver in sorted(drivers) for what in off)


def open_repo(path: Path) -> Repo:
    """GitPython's repository of a work tree or of a folder in one; its commands run with the same walls.

    Raises: RepositoryError when there is none.
    """
    from git import Git, Repo
    from git.exc import InvalidGitRepositoryError, NoSuchPathError

    class _Git(Git):
        """GitPython adds to the process's environment; env(1) begins with an empty one."""

        def execute(self, command: str | Sequence[Any], *positional: Any, **options: Any) -> Any:
            words = [command] if isinstance(command, str) else [str(word) for word in command]
            pairs = [f"{name}={value}" for name, value in git_environment(user_config=True).items()]
            return super().execute(["env", "-i", *pairs, *words], *positional, **options)

    class _Repo(Repo):
        GitCommandWrapperType = _Git

    try:
        return _Repo(path, search_parent_directories=True)
    except (InvalidGitRepositoryError, NoSuchPathError) as error:
        raise RepositoryError(f"{path} is not a git repository") from error
