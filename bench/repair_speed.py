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
def tokens(text):
    """Numbers, names and operators of an expression."""
    found, position = [], 0
    while position < len(text):
        char = text[position]
        if char.isspace():
            position += 1
            continue
        start = position
        if char.isdigit():
            while position < len(text) and text[position].isdigit():
                position += 1
        else:
            position += 1
        found.append(text[start:position])
    return found


def evaluate(text):
    """Value of an expression of whole numbers with + - * and brackets."""
    items = tokens(text)
    value, rest = expression(items)
    if rest:
        raise ValueError(f"unexpected {rest[0]}")
    return value


def expression(items):
    value, items = product(items)
    while items and items[0] in "+-":
        sign = items[0]
        other, items = product(items[1:])
        value = value + other if sign == "+" else value - other
    return value, items


def product(items):
    value, items = atom(items)
    while items and items[0] == "*":
        other, items = atom(items[1:])
        value = value * other
    return value, items


def atom(items):
    if items[0] == "(":
        value, items = expression(items[1:])
        return value, items[1:]
    return int(items[0]), items[1:]
'''
_TESTS = """
import pytest
from calc import evaluate


@pytest.mark.parametrize(("text", "value"), [
    ("1", 1), ("12 + 3", 15), ("7 - 2 - 1", 4), ("2 * 3 + 4", 10), ("2 * (3 + 4)", 14), ("(1)", 1),
])
def test_value(text, value):
    assert evaluate(text) == value


def test_never_right():
    assert evaluate("1 + 1") == "two" or evaluate("2") == 3
"""


def measure(arguments: argparse.Namespace, project: Project, workspace_of: Callable[..., Any]) -> None:
    """Print both rates, medians and the ratio. The bug cannot be repaired, so that every candidate counts."""
    files = {"calc.py": _SOURCE, "test_calc.py": _TESTS}
    with workspace_of(files, project, arguments.sandbox) as workspace:
        cold: list[float] = []

        def run_cold(count: int) -> None:
            with workspace.fork() as fork:
                for number in range(count):
                    text = _SOURCE.replace("value - other", f"value - other - {number}")
                    start = time.perf_counter()
                    fork.write_text("calc.py", text)
                    fork.exec("python -m pytest -q -p no:cacheprovider test_calc.py", timeout=60)
                    cold.append(time.perf_counter() - start)

        run_cold(arguments.cold // 2)
        found = propose(
            workspace,
            project,
            ["test_calc.py::test_never_right"],
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
