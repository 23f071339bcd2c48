"""The clean environment every command starts from; the host's own is never passed."""

from __future__ import annotations

from collections.abc import Mapping

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def clean_env(home: str, *layers: Mapping[str, str] | None) -> dict[str, str]:
    """A minimal environment with `layers` on top, the last one winning.

    Git is told never to ask, to use no pager, and to accept the repository whoever owns its files.
    """
    env = {
        "PATH": SYSTEM_PATH,
        "HOME": home,
        "USER": "agent",
        "LOGNAME": "agent",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    for layer in layers:
        env.update(layer or {})
    return env


def shell_argv(cmd: str, shell: str) -> list[str]:
    """A command line for `shell` (`bash` or `sh`)."""
    return [shell, "-c", cmd]
