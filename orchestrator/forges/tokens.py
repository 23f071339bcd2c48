"""Tokens: which token belongs to which host, and to no other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from .reference import is_loopback


def token_name(host: str, kind: str = "github") -> str:
    """The variable that people set for a host."""
    if kind == "gitlab":
        return "GITLAB_TOKEN"
    public = host in ("github.com", "api.github.com") or host.endswith(".ghe.com")
    return "GH_TOKEN" if public else "GH_ENTERPRISE_TOKEN"


class TokenSource:
    """Finds the token for a host: the environment, then `gh`, then git's credential helpers.

    `GH_TOKEN` and `GITHUB_TOKEN` go to github.com and *.ghe.com only; `GH_ENTERPRISE_TOKEN` and
    `GITHUB_ENTERPRISE_TOKEN` to other hosts (to `GH_HOST` only, when that is set); `GITLAB_TOKEN` to
    gitlab.com, or to `GITLAB_HOST` when that is set.
    """

    def __init__(self, env: Mapping[str, str] | None = None, *, ask_programs: bool = True) -> None:
        """`ask_programs`: whether `gh` and git's credential helpers may be asked."""
        self._env = os.environ if env is None else env
        self._ask = ask_programs
        self._found: dict[str, str | None] = {}

    def token(self, origin: str, kind: str = "github") -> str | None:
        """The token for scheme://host[:port]; None: go anonymously. Over plain http only loopback gets one."""
        parts = urlsplit(origin)
        host = parts.netloc.rpartition("@")[2].lower()
        if parts.scheme != "https" and not is_loopback(host):
            return None
        if host not in self._found:
            self._found[host] = self._from_env(host, kind) or self._from_programs(parts.scheme, host, kind)
        return self._found[host]

    @property
    def values(self) -> tuple[str, ...]:
        """Every token handed out so far, for masking."""
        return tuple(sorted({token for token in self._found.values() if token}))

    def _from_env(self, host: str, kind: str) -> str | None:
        if kind == "gitlab":
            own = _host(self._env.get("GITLAB_HOST", "")) or "gitlab.com"
            return self._first("GITLAB_TOKEN") if host == own or is_loopback(host) else None
        if host in ("github.com", "api.github.com") or host.endswith(".ghe.com"):
            return self._first("GH_TOKEN", "GITHUB_TOKEN")
        own = _host(self._env.get("GH_HOST", ""))
        if own and own != host and not own.endswith((".ghe.com", "github.com")):
            return None
        return self._first("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")

    def _first(self, *names: str) -> str | None:
        return next((value for name in names if (value := self._env.get(name, "").strip())), None)

    def _from_programs(self, scheme: str, host: str, kind: str) -> str | None:
        if not self._ask or is_loopback(host):
            return None
        web = "github.com" if host == "api.github.com" else host
        found = None
        if kind == "github":
            found = self._output(["gh", "auth", "token", "--hostname", web])
        if not found:
            answer = self._output(["git", "credential", "fill"], f"protocol={scheme}\nhost={web}\n\n") or ""
            fields = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
            found = fields.get("password")
        return found or None

    def _output(self, command: Sequence[str], stdin: str = "") -> str | None:
        # In no repository: its configuration could name a credential helper of its own.
        own = {name: value for name, value in self._env.items() if not name.startswith("GIT_")}
        env = {**own, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true",
               "GCM_INTERACTIVE": "never", "GH_PROMPT_DISABLED": "1"}  # fmt: skip
        try:
            done = subprocess.run(
                command, input=stdin, env=env, cwd="/", capture_output=True, text=True, timeout=3, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None


def _host(value: str) -> str:
    """A host from what people put into *_HOST: with or without a scheme."""
    return urlsplit(value if "://" in value else f"//{value}").netloc.lower()
