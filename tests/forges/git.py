"""git for tests: a fixed identity and no user configuration."""

from __future__ import annotations

import os
import subprocess


def git(*arguments: str) -> str:
    """git with a fixed identity and no user configuration."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{key}": "someone" for who in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")},
    }
    return subprocess.run(["git", *arguments], env=env, check=True, capture_output=True, text=True).stdout
