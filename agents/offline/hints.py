"""Hints: what an issue's text says about where the fault is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .engine.shapes import Hints

_FRAME = re.compile(r'File "([^"\n]+)", line (\d+), in (\w+)')
_PLACE = re.compile(r"([\w./-]+\.py):(\d+)")
_PATH = re.compile(r"[\w./-]+\.py\b")
_DOTTED = re.compile(r"\b[a-z_]\w*(?:\.\w+)+")
_CALLED = re.compile(r"`{1,2}([\w.]+)(?:\(.*?\))?`{1,2}|\b(\w+)\(")
_QUOTED = re.compile(r"'([^'\n]{1,20})'|\"([^\"\n]{1,20})\"")


_NUMBER = re.compile(r"(?<![\w.-])\d+(?!\w|\.\d)")
_WORD = re.compile(r"[A-Za-z_][\w.]*\w|[A-Za-z_]")
_CODE = re.compile(r"`+([^`\n]+)`+")
_MOST_NAMES = 80


def _names(text: str) -> list[str]:
    """Words that may be names or entries of a table: of code first, then what is quoted, then the others."""
    quoted = [one or two for one, two in _QUOTED.findall(text)]
    code = [word for span in _CODE.findall(text) for word in _WORD.findall(span)]
    plain = _WORD.findall(text)
    telling = [word for word in plain if "_" in word or "." in word or word[1:] != word[1:].lower()]
    names = [word for word in plain if word[:1].isupper()]
    found = [part for word in (*code, *telling, *names) for part in (word, word.rpartition(".")[2])]
    return [word for word in dict.fromkeys([*found, *quoted, *plain]) if word][:_MOST_NAMES]


def hints(text: str, paths: Sequence[str]) -> Hints:
    """Files (out of `paths`), lines of tracebacks, functions and quoted words that `text` names."""
    if not text.strip():
        return {}

    def known(name: str) -> str | None:
        name = name.lstrip("./")
        for path in paths:
            if name == path or name.endswith("/" + path) or path.endswith("/" + name):
                return path
        return None

    places = [(known(name), int(line), function) for name, line, function in _FRAME.findall(text)]
    places += [(known(name), int(line), "") for name, line in _PLACE.findall(text)]
    lines = {(path, line) for path, line, _ in places if path is not None}
    functions = {function for path, _, function in places if path is not None and function}
    files = {path for path, _ in lines}
    files |= {path for name in _PATH.findall(text) if (path := known(name)) is not None}
    for dotted in _DOTTED.findall(text):
        parts = dotted.split(".")
        for cut in range(len(parts), 0, -1):
            path = known("/".join(parts[:cut]) + ".py")
            if path is not None:
                files.add(path)
                functions.update(parts[cut:])
                break
    for quoted, called in _CALLED.findall(text):
        functions.add((quoted or called).split(".")[-1])
    words = Counter(one or two for one, two in _QUOTED.findall(text))
    return {
        "files": sorted(files),
        "lines": sorted(lines),
        "functions": sorted(functions),
        "words": dict(words.most_common(40)),
        "names": _names(text),
        "numbers": list(dict.fromkeys(_NUMBER.findall(text)))[:12],
    }
