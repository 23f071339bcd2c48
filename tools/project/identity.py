"""Identity: what a build could read of a repository, as one hash for the key of its environment.

A back-end that lies in the tree, or a setup.py, may import any module of it: then the whole tree counts. Else
only the repository's first commits do, so that no environment is shared between different repositories.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from ..errors import RepositoryError
from ..git import git
from .manifest import Manifest

_HOOKS = (
    ("tool", "hatch", "build", "hooks"),
    ("tool", "hatch", "metadata", "hooks"),
    ("tool", "poetry", "build"),
    ("tool", "pdm", "build"),
    ("build-system", "backend-path"),
    ("tool", "setuptools", "cmdclass"),
    ("tool", "setuptools", "ext-modules"),
)
_BACKENDS = ("setuptools", "flit_core", "hatchling", "poetry.core", "poetry.masonry", "pdm.backend")
_MOST_BYTES = 64 << 20


def build_identity(manifest: Manifest, *, runs_tree: bool = False) -> str:
    """Hash for the key. `runs_tree` says that a command of the user's runs there."""
    if runs_tree or reads_tree(manifest):
        return f"tree:{_tree(manifest.repository)}"
    return f"repository:{_first_commits(manifest.repository)}"


def reads_tree(manifest: Manifest) -> bool:
    """Whether building the repository may run code of its tree."""
    if manifest.has("setup.py") or any(manifest.toml(*keys) for keys in _HOOKS):
        return True
    backend = str(manifest.toml("build-system", "build-backend") or "setuptools").partition(":")[0]
    if not backend.startswith(_BACKENDS):
        return True
    dynamic = [manifest.toml("project", "dynamic"), manifest.toml("tool", "setuptools", "dynamic")]
    return any(dynamic) or bool(re.search(r"\battr\s*:", manifest.text("setup.cfg"))) or backend[:4] == "flit"


def _first_commits(repository: Path) -> str:
    try:
        return " ".join(sorted(git(repository, "rev-list", "--max-parents=0", "HEAD").split()))
    except RepositoryError:
        return _tree(repository)


def _tree(repository: Path) -> str:
    """Hash of the committed tree and of what differs from it on disk; of all files where there is no git."""
    digest = hashlib.sha256()
    try:
        digest.update(git(repository, "rev-parse", "HEAD^{tree}").encode())
        status = git(repository, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
        names = [entry[3:] for entry in status.split("\0") if entry]
    except RepositoryError:
        names = [
            str(Path(where, name).relative_to(repository))
            for where, folders, files in os.walk(repository)
            for name in (folders.sort() or sorted(files))
        ]
    for name in sorted(names):
        digest.update(b"\0" + name.encode("utf-8", "surrogateescape") + b"\0" + _content(repository / name))
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return str(path.readlink()).encode("utf-8", "surrogateescape")
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            return f"{status.st_mode} {status.st_size} {status.st_mtime_ns}".encode()
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b"gone"
