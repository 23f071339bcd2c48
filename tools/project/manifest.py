"""Manifest: the packaging and test configuration files of a repository, read without running any code."""

from __future__ import annotations

import ast
import configparser
import contextlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

_MAX_BYTES = 2_000_000
_SKIP = {
    ".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "env", "node_modules", "build", "dist",
    "__pycache__", ".eggs", ".mypy_cache", ".pytest_cache", "site-packages",
}  # fmt: skip
_MAX_FILES = 20_000


class Manifest:
    """What a repository says about itself. A broken or missing file reads as empty, never raises."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository

    def text(self, path: str) -> str:
        """A file's text, "" when it is absent, too big, not regular or outside the repository."""
        file = self.repository / path
        try:
            real = file.resolve(strict=True)
            if not real.is_relative_to(self.repository.resolve()) or not real.is_file():
                return ""
            if real.stat().st_size > _MAX_BYTES:
                return ""
            return real.read_text("utf-8", errors="replace")
        except (OSError, RuntimeError):
            return ""

    def has(self, path: str) -> bool:
        return bool((self.repository / path).is_file())

    @cached_property
    def pyproject(self) -> Mapping[str, object]:
        try:
            return tomllib.loads(self.text("pyproject.toml"))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def toml(self, *keys: str) -> Any:
        """The value at `keys` of pyproject.toml, None when any is missing."""
        return dig(self.pyproject, *keys)

    @cached_property
    def setup_cfg(self) -> configparser.RawConfigParser:
        return _ini(self.text("setup.cfg"))

    @cached_property
    def tox(self) -> configparser.RawConfigParser:
        legacy = self.toml("tool", "tox", "legacy_tox_ini")
        return _ini(self.text("tox.ini") or (legacy if isinstance(legacy, str) else ""))

    @cached_property
    def pytest_ini(self) -> configparser.RawConfigParser:
        return _ini(self.text("pytest.ini") or self.text(".pytest.ini"))

    def cfg(self, parser: configparser.RawConfigParser, section: str, key: str) -> str:
        for name in (key, key.replace("_", "-")):
            if parser.has_option(section, name):
                return parser.get(section, name) or ""
        return ""

    def pytest_setting(self, key: str) -> str:
        """What pytest's configuration says of `key`, the words of a list joined by spaces; "" where it says nothing.
        Of the files that pytest knows the first that holds a section for it counts."""
        table = self.toml("tool", "pytest", "ini_options") or self.toml("tool", "pytest")
        if self.pytest_ini.has_section("pytest"):
            return self.cfg(self.pytest_ini, "pytest", key)
        if isinstance(table, Mapping):
            said = table.get(key, "")
            return " ".join(map(str, said)) if isinstance(said, list) else str(said)
        if self.tox.has_section("pytest"):
            return self.cfg(self.tox, "pytest", key)
        return self.cfg(self.setup_cfg, "tool:pytest", key)

    @cached_property
    def setup_arguments(self) -> Mapping[str, object]:
        """Literal keyword arguments of the `setup()` call of setup.py; names bound to literals at module
        level are followed, anything computed is left out."""
        try:
            tree = ast.parse(self.text("setup.py"))
        except (SyntaxError, ValueError, RecursionError):
            return {}
        names: dict[str, object] = {}
        found: dict[str, object] = {}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                value = _literal(node.value, names)
                if value is not None:
                    names.setdefault(node.targets[0].id, value)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _call_name(node) == "setup":
                for keyword in node.keywords:
                    value = _literal(keyword.value, names)
                    if keyword.arg and value is not None:
                        found[keyword.arg] = value
        return found

    @property
    def installable(self) -> bool:
        """Whether pip could install the repository."""
        if self.has("setup.py"):
            return True
        if self.has("setup.cfg") and self.setup_cfg.has_section("metadata") and self.has("pyproject.toml"):
            return True
        if self.has("setup.cfg") and self.cfg(self.setup_cfg, "metadata", "name"):
            return True
        if self.toml("project", "name") or self.toml("tool", "poetry", "name"):
            return self.toml("tool", "uv", "package") is not False
        return bool(self.toml("tool", "flit", "metadata"))

    @cached_property
    def python_files(self) -> tuple[str, ...]:
        """Relative paths of the Python files, in walk order, bounded."""
        return tuple(self._walk())

    def _walk(self) -> Iterator[str]:
        count = 0
        for folder, folders, files in os.walk(self.repository):
            folders[:] = sorted(f for f in folders if f not in _SKIP and not f.endswith(".egg-info"))
            if "pyvenv.cfg" in files:
                folders[:] = []
                continue
            for name in sorted(files):
                if name.endswith(".py"):
                    count += 1
                    if count > _MAX_FILES:
                        return
                    yield (Path(folder) / name).relative_to(self.repository).as_posix()

    @cached_property
    def test_files(self) -> tuple[str, ...]:
        """Files that look like tests by the conventions of pytest and unittest."""
        return tuple(path for path in self.python_files if is_test_file(path))


def is_test_file(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    if re.fullmatch(r"test_.*\.py|.*_tests?\.py|tests?\.py", name):
        return True
    folders = path.split("/")[:-1]
    return bool({"tests", "test", "testing"} & set(folders)) and name.startswith("test")


def dig(table: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(table, Mapping) or key not in table:
            return None
        table = table[key]
    return table


def strings(value: Any) -> list[str]:
    """The strings of a list; anything else is none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []


def _ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, comment_prefixes=("#", ";"))
    with contextlib.suppress(configparser.Error):
        parser.read_string(text)
    return parser


def _call_name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _literal(node: ast.expr, names: Mapping[str, object]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Dict):
        pairs = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                literal = _literal(value, names)
                if literal is not None:
                    pairs[key.value] = literal
        return pairs
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _literal(node.left, names), _literal(node.right, names)
        if isinstance(left, list) and isinstance(right, list):
            return left + right
        return left or right
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
