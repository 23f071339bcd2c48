"""Warm candidates per second against one cold `python -m pytest` for each, in one run on one machine."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from swe_agent.agents.offline.propose import propose
from swe_agent.tools.project.spec import Project

_SOURCE = '''
def words(text):
    """Lower-case words of a text, without marks."""
    found, current = [], ""
    for char in text + " ":
        if char.isalnum():
            current += char.lower()
        elif current:
            found.append(current)
            current = ""
    return found


def counts(text):
    """How often each word occurs."""
    table = {}
    for word in words(text):
        table[word] = table.get(word, 0) + 1
    return table


def common(text, size):
    """The `size` most frequent words; ties in alphabetical order."""
    table = counts(text)
    ordered = sorted(table, key=lambda word: (-table[word], word))
    return ordered[:size]


def report(text, size=3):
    lines = []
    for rank, word in enumerate(common(text, size), 1):
        lines.append(f"{rank}. {word} ({counts(text)[word]})")
    return "; ".join(lines)
'''
_TESTS = """
import pytest
from speech import common, counts, report, words

TEXT = "The cat and the dog. The bird, and a fish!"


@pytest.mark.parametrize(("size", "expected"), [
    (1, ["the"]), (2, ["the", "and"]), (3, ["the", "and", "a"]), (0, []),
])
def test_common(size, expected):
    assert common(TEXT, size) == expected


def test_words():
    assert words("A b, c!") == ["a", "b", "c"]


def test_counts():
    assert counts(TEXT)["the"] == 3


def test_contradiction():
    assert report(TEXT, 1) == "1. the (3)"
    assert report(TEXT, 1) == "one: the"
"""


def measure(arguments: argparse.Namespace, project: Project, workspace_of: Callable[..., Any]) -> None:
    """Print both rates, medians and the ratio. The tests contradict one another, so that every candidate counts."""
    files = {"speech.py": _SOURCE, "test_speech.py": _TESTS}
    with workspace_of(files, project, arguments.sandbox) as workspace:
        cold: list[float] = []

        def run_cold(count: int) -> None:
            with workspace.fork() as fork:
                for number in range(count):
                    text = _SOURCE.replace("+ 1", f"+ {number}")
                    start = time.perf_counter()
                    fork.write_text("speech.py", text)
                    fork.exec("python -m pytest -q -p no:cacheprovider test_speech.py", timeout=60)
                    cold.append(time.perf_counter() - start)

        run_cold(arguments.cold // 2)
        found = propose(
            workspace,
            project,
            ["test_speech.py::test_contradiction"],
            k=1,
            time_limit_s=arguments.seconds,
            workers=1,
        )
        run_cold(arguments.cold - arguments.cold // 2)
    rate = found.candidates_per_s or 0.0
    each = statistics.median(cold)
    print("| way | candidates/s | ms each |")
    print("|---|---|---|")
    print(f"| warm, one worker ({found.tried} candidates) | {rate:.0f} | {1000 / rate if rate else 0:.2f} |")
    print(
        f"| cold `python -m pytest` ({len(cold)} candidates, median) | {1 / each:.2f} | {1000 * each:.0f} |"
    )
    print(f"warm is {rate * each:.0f} times as fast")
