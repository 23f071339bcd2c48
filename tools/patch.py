"""Patch: a unified diff against the base commit, as a value."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from .errors import PatchError


@dataclass(frozen=True)
class Patch:
    """A unified diff in git's format (`a/`, `b/` prefixes), ending in a newline unless empty.

    `after` holds the text of each changed file after the patch (None: deleted or not text); it is what
    `normalised_hash` looks at. A patch read from a file has none and is hashed by its lines.
    """

    text: str
    after: Mapping[str, str | None] = field(
        default_factory=dict[str, "str | None"], compare=False, repr=False
    )
    before: Mapping[str, str | None] = field(
        default_factory=dict[str, "str | None"], compare=False, repr=False
    )

    @property
    def is_empty(self) -> bool:
        return not self.text.strip()

    @cached_property
    def parsed(self) -> PatchSet:
        """The diff as unidiff sees it. Raises: PatchError when it is malformed."""
        try:
            # At line feeds alone: a form feed or a line separator of the source ends no line of a patch.
            return PatchSet(StringIO(self.text, newline="\n"))
        except (UnidiffParseError, UnicodeDecodeError) as error:
            raise PatchError(f"the patch is not a valid unified diff: {error}") from error

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Paths touched, sorted; a rename counts as both. Taken from git's headers, so that mode
        changes, pure renames and binary files are seen too. Raises: PatchError."""
        paths: set[str] = set()
        for item in self.parsed:
            for name in (item.source_file, item.target_file):
                if name and name != "/dev/null":
                    paths.add(name[2:] if name[:2] in ("a/", "b/") else name)
        return tuple(sorted(paths))

    @property
    def added(self) -> int:
        """Lines added."""
        return self.parsed.added

    @property
    def removed(self) -> int:
        """Lines removed."""
        return self.parsed.removed

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode("utf-8", "surrogateescape")).hexdigest()

    def normalised_hash(self) -> str:
        """Hash that ignores what does not matter: for Python comments, formatting and docstrings,
        elsewhere trailing white space. Equal hashes mean the same change; used to merge duplicates."""
        digest = hashlib.sha256()
        if not self.after:
            body = [line.rstrip() for line in self.text.splitlines() if line[:1] in "+-" and line[1:].strip()]
            digest.update("\n".join(body).encode("utf-8", "surrogateescape"))
            return digest.hexdigest()
        for path in sorted(self.after):
            new, old = _normal_form(path, self.after[path]), _normal_form(path, self.before.get(path))
            if new != old:
                digest.update(f"{path}\0{new}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def _normal_form(path: str, text: str | None) -> str:
    if text is None:
        return "\0absent"
    if path.endswith((".py", ".pyi")):
        try:
            tree = ast.parse(text.encode("utf-8", "surrogateescape"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return text
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[0] if node.body else None
                value = first.value if isinstance(first, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    node.body = node.body[1:] or [ast.Pass()]
        return ast.dump(tree)
    return "\n".join(line.rstrip() for line in text.splitlines())
