"""FileFacts: what one version of a Python file imports, defines, tests and speaks of, read without running it.

Patterns, not a parser: files of every Python version are read alike, imports inside functions included, at
some 50 MB/s. What a pattern takes for an import in a text costs a rank, never a verdict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<base>\.*[ \t]*[\w.]*)[ \t]+import[ \t]*"
    r"(?P<names>\([^)]*\)|[^\n\\]*(?:\\\n[^\n\\]*)*)|import[ \t]+(?P<plain>[^\n;#]+))",
    re.M,
)
_DEFINED = re.compile(
    r"^([ \t]*)(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)|^([A-Za-z_]\w*)[ \t]*(?::[^=\n]+)?=[^=]", re.M
)
_TEST = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+test\w*", re.M)
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
_DOTTED = re.compile(r"""['"]([A-Za-z_]\w*(?:\.\w+)+)['"]""")
_DYNAMIC = ("iter_modules", "walk_packages", "import_module", "__import__", "register_plugins", "load_module")
_COMMENT = re.compile(r"#[^\n]*")
_MOST_WORDS = 4000


@dataclass(frozen=True, slots=True)
class Import:
    """`from {level dots}{module} import {names}`; without names it is `import {module}`."""

    level: int
    module: str
    names: tuple[tuple[str, str], ...] = ()
    """(name there, name here)."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Of one blob; the same wherever the blob lies."""

    imports: tuple[Import, ...] = ()
    defines: frozenset[str] = frozenset()
    """Names bound at module level."""
    members: frozenset[str] = frozenset()
    """Functions and classes defined deeper."""
    tests: int = 0
    words: frozenset[str] = frozenset()
    """Identifiers of a file that holds tests; of others none."""
    dotted: frozenset[str] = frozenset()
    """Dotted names in strings: `"package.module"` of settings, patches and plugins."""
    dynamic: bool = False
    """Whether it imports modules that it finds by looking."""

    def to_json(self) -> list[Any]:
        return [
            [[found.level, found.module, found.names] for found in self.imports],
            *(sorted(group) for group in (self.defines, self.members, self.words, self.dotted)),
            self.tests,
            self.dynamic,
        ]

    @classmethod
    def from_json(cls, data: list[Any]) -> FileFacts:
        """Raises: ValueError, TypeError, IndexError when it is not one of ours."""
        imports, defines, members, words, dotted, tests, dynamic = data
        return cls(
            tuple(Import(level, module, tuple((a, b) for a, b in names)) for level, module, names in imports),
            frozenset(defines),
            frozenset(members),
            int(tests),
            frozenset(words),
            frozenset(dotted),
            bool(dynamic),
        )


def facts_of(text: str) -> FileFacts:
    """What the text says."""
    imports: list[Import] = []
    for found in _IMPORT.finditer(text):
        imports += _plain(found["plain"]) if found["plain"] else [_from(found["base"], found["names"])]
    defines, members = set[str](), set[str]()
    for indent, name, bound in _DEFINED.findall(text):
        (members if indent else defines).add(name or bound)
    tests = len(_TEST.findall(text))
    words = sorted(set(_WORD.findall(text)))[:_MOST_WORDS] if tests else ()
    return FileFacts(
        tuple(imports),
        frozenset(defines),
        frozenset(members),
        tests,
        frozenset(words),
        frozenset(_DOTTED.findall(text)),
        any(word in text for word in _DYNAMIC),
    )


def _plain(names: str) -> list[Import]:
    modules = [part.split(" as ")[0].strip() for part in names.split(",")]
    return [Import(0, module) for module in modules if re.fullmatch(r"[\w.]+", module)]


def _from(base: str, names: str) -> Import:
    base = re.sub(r"\s", "", base)
    module = base.lstrip(".")
    cleaned = _COMMENT.sub("", names).replace("\\\n", " ").strip("() \t\n")
    pairs: list[tuple[str, str]] = []
    for part in cleaned.split(","):
        words = part.split()
        if words and (words[0] == "*" or words[0].isidentifier()):
            pairs.append((words[0], words[2] if len(words) == 3 and words[1] == "as" else words[0]))
    return Import(len(base) - len(module), module, tuple(pairs))


def words_of(text: str) -> list[str]:
    """Every word of a text that could be an identifier, in order."""
    return _WORD.findall(text)
