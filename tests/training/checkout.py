"""Small git repositories for tests of training."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

ONE = {
    "a.py": "def one():\n    return 2\n",
    "test_a.py": "from a import one\n\n\ndef test_one():\n    assert one() == 1\n",
}
"""One function, and a test that it fails."""
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t")


def committed(folder: Path, files: Mapping[str, str]) -> Path:
    """A new repository in `folder` with one commit of `files`; returns the folder."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder
