"""HostGit: git on the host, with a token that only git's own credential prompt for one origin sees."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from ...tools.errors import ForgeError, RepositoryError
from ...tools.git import GitTimeout, execute
from .reach import check_reachable
from .tokens import TokenSource

# git asks with "Username for 'https://host': " and "Password for 'https://user@host': ". The host is
# compared, so that a redirect to another one gets no answer.
_ASKPASS = """#!/bin/sh
case "$1" in
  *"'$SWE_AGENT_FORGE_ORIGIN'"*) printf '%s\\n' "$SWE_AGENT_FORGE_USER" ;;
  *"'$SWE_AGENT_FORGE_LOGIN'"*) printf '%s\\n' "$SWE_AGENT_FORGE_TOKEN" ;;
  *) exit 1 ;;
esac
"""
_SETTINGS = ("http.lowSpeedLimit=100", "http.lowSpeedTime=60")
_PROTOCOLS = "https:http:ssh:git:file"
_NO_ACCESS = re.compile(
    r"could not read (Username|Password)|Authentication failed|requested URL returned error: 40[13]|"
    r"terminal prompts disabled|Permission denied|unable to read askpass",
    re.I,
)
_MISSING = re.compile(
    r"repository .*not found|not found$|does not (appear to be|exist)|error: 404|not a git rep", re.I | re.M
)


class HostGit:
    """git commands against one remote. A context manager: the askpass script lives as long."""

    def __init__(self, url: str, tokens: TokenSource, kind: str = "github") -> None:
        """`url` is the remote's clone URL; credentials in it are taken out and used through the prompt."""
        parts = urlsplit(url)
        self._folder = tempfile.TemporaryDirectory(prefix="swe-agent-git-")
        self.url = url
        # What a clone of ours lacks it may fetch; its configuration is the one that we let git write.
        self._env = {"GIT_NO_LAZY_FETCH": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=4"}
        self._secret = ""
        self._ends: float | None = None
        self._allowed_s: float | None = None
        if parts.scheme in ("http", "https"):
            host = parts.netloc.rpartition("@")[2]
            origin = f"{parts.scheme}://{host}"
            self.url = url.replace(f"{parts.netloc}/", f"{host}/", 1)
            token = parts.password or tokens.token(origin, kind)
            user = (parts.username if parts.password else None) or (
                "oauth2" if kind == "gitlab" else "x-access-token"
            )
            self._secret = token or ""
            self._env |= self._askpass(parts.scheme, host, user, token)

    def _askpass(self, scheme: str, host: str, user: str, token: str | None) -> Mapping[str, str]:
        script = Path(self._folder.name) / "askpass"
        script.write_text(_ASKPASS if token else "#!/bin/sh\nexit 1\n")
        script.chmod(0o700)
        env = {"GIT_ASKPASS": str(script), "SSH_ASKPASS": str(script)}
        if token:
            env |= {
                "SWE_AGENT_FORGE_ORIGIN": f"{scheme}://{host}",
                "SWE_AGENT_FORGE_LOGIN": f"{scheme}://{user}@{host}",
                "SWE_AGENT_FORGE_USER": user,
                "SWE_AGENT_FORGE_TOKEN": token,
            }
        return env

    def allow(self, seconds: float | None) -> None:
        """How long everything from now on may take; None: as long as it needs."""
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._allowed_s = seconds

    def run(
        self, *arguments: str, cwd: Path | None = None, stdin: str | None = None, timeout: float | None = None
    ) -> str:
        """stdout. `timeout` is in seconds, within what is allowed. Raises: RepositoryError when the remote has no such repository or revision; ForgeError."""
        if self._ends is not None:
            left = max(0.1, self._ends - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        try:
            done = execute(
                cwd,
                *arguments,
                stdin=stdin,
                env=self._env,
                user_config=True,
                protocols=_PROTOCOLS,
                settings=_SETTINGS,
                timeout=timeout,
            )
        except GitTimeout as error:
            took = timeout if self._allowed_s is None else self._allowed_s
            raise ForgeError(f"git {arguments[0]} of {self.url} took more than {took:g} s") from error
        if done.ok:
            return done.stdout
        raise self._error(arguments[0], done.stderr)

    def check_reachable(self) -> None:
        """Raises: ForgeError within seconds when the remote's host does not answer."""
        check_reachable(self.url)

    def _error(self, what: str, stderr: str) -> ForgeError | RepositoryError:
        words = [line.strip() for line in stderr.splitlines() if line.strip()]
        told = [line for line in words if line.startswith(("fatal:", "error:", "remote:", "!"))] or words
        line = (told[-1] if told else "no reason given").removeprefix("fatal: ")
        if self._secret:
            line = line.replace(self._secret, "***")
        if _NO_ACCESS.search(stderr):
            return ForgeError(
                f"no access to {self.url}: {line}; set a token (GH_TOKEN, GITLAB_TOKEN) that may see it"
            )
        if _MISSING.search(stderr):
            return RepositoryError(f"there is no git repository at {self.url}: {line}")
        return ForgeError(f"git {what} of {self.url} failed: {line}")

    def close(self) -> None:
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
