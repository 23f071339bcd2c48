"""Exact, unique text replacements between two versions of a file: what an editing tool takes."""

from __future__ import annotations

import difflib


def unique_edits(old: str, new: str) -> list[tuple[str, str]]:
    """Pairs (old text, new text), each old text occurring exactly once in `old`; applied one after the
    other they turn `old` into `new`. One pair when the changes lie close together."""
    if old == new:
        return []
    ours, theirs = old.splitlines(keepends=True), new.splitlines(keepends=True)
    head = 0
    while head < min(len(ours), len(theirs)) and ours[head] == theirs[head]:
        head += 1
    tail = 0
    while tail < min(len(ours), len(theirs)) - head and ours[-1 - tail] == theirs[-1 - tail]:
        tail += 1
    middle = difflib.SequenceMatcher(
        None, ours[head : len(ours) - tail], theirs[head : len(theirs) - tail], autojunk=False
    )
    spans = [
        [head + a, head + b, head + c, head + d] for tag, a, b, c, d in middle.get_opcodes() if tag != "equal"
    ]
    merged = [spans[0]]
    for span in spans[1:]:
        if span[0] - merged[-1][1] <= 3:
            merged[-1][1], merged[-1][3] = span[1], span[3]
        else:
            merged.append(span)
    pairs: list[tuple[str, str]] = []
    for a, b, c, d in merged:
        while (a == b or old.count("".join(ours[a:b])) != 1) and (a > 0 or b < len(ours)):
            if a > 0:
                a, c = a - 1, c - 1
            if old.count("".join(ours[a:b])) != 1 and b < len(ours):
                b, d = b + 1, d + 1
        pairs.append(("".join(ours[a:b]), "".join(theirs[c:d])))
    text = old
    for one, two in pairs:
        if text.count(one) != 1:
            return [(old, new)]  # contexts ran into one another
        text = text.replace(one, two)
    return pairs if text == new else [(old, new)]
