"""Seeded tasks of the closed loop: a repository of one short module with one wrong line, told in the issue.

The kinds of bugs are few and the names and numbers many, so that what a small model learns from some is put to
the test on others. Tasks of two seeds share no pair of module and function.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODULES = (
    "fees",
    "cart",
    "stock",
    "dates",
    "route",
    "grade",
    "score",
    "price",
    "units",
    "menu",
    "taxes",
    "seats",
)
VERBS = ("compute", "find", "get", "derive", "estimate", "make", "read", "pick", "work_out", "determine")
THINGS = (
    "total",
    "rest",
    "share",
    "size",
    "level",
    "limit",
    "weight",
    "speed",
    "height",
    "amount",
    "delay",
    "width",
)
ARGUMENTS = (("a", "b"), ("first", "second"), ("left", "right"), ("x", "y"), ("old", "new"), ("base", "extra"),
             ("count", "step"), ("low", "high"))  # fmt: skip
FILLERS = ("def label(text):\n    return text.strip()\n", "def is_empty(items):\n    return len(items) == 0\n",
           "def twice(number):\n    return number * 2\n", "def last(items):\n    return items[-1]\n")  # fmt: skip
_NAMES = {"+": "add", "-": "subtract", "*": "multiply"}
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0")


@dataclass(frozen=True, slots=True)
class Task:
    """`wrong` is the line of `path` that `right` mends, both without indentation. `hidden` is a program that fails
    unless the mended function is right on inputs that no test of the repository holds."""

    id: str
    path: str
    issue: str
    files: dict[str, str]
    wrong: str
    right: str
    hidden: str


@dataclass(frozen=True, slots=True)
class _Bug:
    arguments: tuple[str, ...]
    wrong: str
    right: str
    told: str
    inputs: tuple[tuple[object, ...], ...]
    """The first is in the repository's test, the others are hidden."""


def _operator(rng: random.Random) -> _Bug:
    first, second = rng.choice(ARGUMENTS)
    wrong, right = rng.sample(sorted(_NAMES), 2)
    return _Bug((first, second), f"return {first} {wrong} {second}", f"return {first} {right} {second}",
                f"it should {_NAMES[right]} {first} and {second}", ((7, 3), (5, 4), (10, 6)))  # fmt: skip


def _constant(rng: random.Random) -> _Bug:
    name = rng.choice(ARGUMENTS)[0]
    wrong, right = rng.sample(range(2, 100), 2)
    sign = rng.choice("+*")
    return _Bug((name,), f"return {name} {sign} {wrong}", f"return {name} {sign} {right}",
                f"it should use {right}, not {wrong}", ((3,), (8,), (11,)))  # fmt: skip


def _swapped(rng: random.Random) -> _Bug:
    first, second = rng.choice(ARGUMENTS)
    return _Bug((first, second), f"return {second} - {first}", f"return {first} - {second}",
                f"it should be {first} minus {second}", ((9, 2), (4, 1), (3, 8)))  # fmt: skip


def _called(rng: random.Random) -> _Bug:
    wrong, right = rng.sample(("min", "max", "sum", "len"), 2)
    inputs: tuple[tuple[object, ...], ...] = (([3, 9, 4],), ([1, 2, 8, 5],), ([7, 2],))
    if {wrong, right} == {"min", "len"}:  # the same of the first
        inputs = inputs[1:]
    return _Bug(("values",), f"return {wrong}(values)", f"return {right}(values)",
                f"it should call {right}, not {wrong}", inputs)  # fmt: skip


def _compared(rng: random.Random) -> _Bug:
    first, second = rng.choice(ARGUMENTS)
    wrong, right = rng.choice(
        ((">", ">="), ("<", "<="), ("<=", "<"), (">=", ">"), ("==", "!="), ("!=", "=="))
    )
    return _Bug((first, second), f"return {first} {wrong} {second}", f"return {first} {right} {second}",
                f"it should compare with {right}", ((5, 5), (4, 6), (6, 4)))  # fmt: skip


BUGS = (_operator, _constant, _swapped, _called, _compared)


def tasks(count: int, seed: int, fold: str) -> list[Task]:
    """The same tasks for the same arguments. Folds (`train`, `test`) share no pair of module and function."""
    pairs = [(module, f"{verb}_{thing}") for module in MODULES for verb in VERBS for thing in THINGS]
    random.Random(seed).shuffle(pairs)
    half = len(pairs) // 2
    pairs = pairs[:half] if fold == "train" else pairs[half:]
    found: list[Task] = []
    for number, (module, function) in enumerate(pairs[:count]):
        rng = random.Random(f"{seed}/{fold}/{number}")
        found.append(_task(f"{fold}-{number:03d}", module, function, BUGS[number % len(BUGS)](rng), rng))
    return found


def _task(name: str, module: str, function: str, bug: _Bug, rng: random.Random) -> Task:
    head = f"def {function}({', '.join(bug.arguments)}):\n    "
    source = f"{rng.choice(FILLERS)}\n\n{head}{bug.wrong}\n"
    scope: dict[str, object] = {}
    exec(f"{head}{bug.right}\n", scope)  # the reference says what is right
    reference = scope[function]
    assert callable(reference)
    calls = [f"{function}({', '.join(map(repr, inputs))}) == {reference(*inputs)!r}" for inputs in bug.inputs]
    test = f"from {module} import {function}\n\n\ndef test_{function}():\n    assert {calls[0]}\n"
    hidden = "\n".join([f"from {module} import {function}", *(f"assert {call}" for call in calls)])
    issue = f"{function} in {module}.py is wrong: {bug.told}."
    files = {f"{module}.py": source, f"test_{module}.py": test}
    return Task(name, f"{module}.py", issue, files, bug.wrong, bug.right, hidden)


def write(chosen: Sequence[Task], folder: Path) -> Path:
    """A checkout of each task below `folder/checkouts` and the dataset `folder/tasks.jsonl`, which is returned."""
    rows: list[str] = []
    for task in chosen:
        checkout = folder / "checkouts" / f"loop__{task.id}"
        if not (checkout / ".git").is_dir():
            _checkout(task, checkout)
        commit = _git(checkout, "rev-parse", "HEAD")
        rows.append(json.dumps({"instance_id": task.id, "repo": f"loop/{task.id}", "base_commit": commit,
                                "problem_statement": task.issue}))  # fmt: skip
    dataset = folder / "tasks.jsonl"
    dataset.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return dataset


def _checkout(task: Task, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in task.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    _git(folder, "init", "-q")
    _git(folder, "add", "-A")
    _git(folder, *IDENTITY, "commit", "-qm", "base")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
