"""The source of one test, as far as reading finds it."""

from __future__ import annotations

import re

_LINES = 80
"""Of a test's body, at most."""


def test_source(text: str, test: str) -> str:
    """The function that a test id (`path::Class::test_x[1]`, `pkg.module.Class.test_x`) names, from its file's text;
    "" where it is not found."""
    name = re.split(r"::|\.", test.partition("[")[0])[-1]
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = re.match(rf"([ \t]*)(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", line)
        if match is None:
            continue
        end = number + 1
        while end < min(len(lines), number + _LINES) and not _outside(lines[end], len(match[1])):
            end += 1
        return "\n".join(lines[number:end])
    return ""


def _outside(line: str, indent: int) -> bool:
    body = line.strip()
    return bool(body) and len(line) - len(line.lstrip()) <= indent and body[0] not in ")]}"
