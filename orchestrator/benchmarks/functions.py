"""Function-level benchmarks: the repository is one file, the judge runs hidden tests against it.

Columns as published: HumanEval(+) and HumanEvalFix (`prompt`, `entry_point`, `canonical_solution`,
`buggy_solution`, `test`), MBPP(+) (`text` or `prompt`, `code`, `test_list`, `test`), BigCodeBench
(`complete_prompt`, `test` with a unittest `TestCases`), NaturalCodeBench (`prompt`, `testcases`,
`reference_solution`, `setup_code`), LiveCodeBench (`question_content`, `starter_code`,
`public_test_cases`, `private_test_cases`).
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from abc import abstractmethod
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Generic, NotRequired, TypedDict, TypeVar, cast

from ...tools.errors import UsageError
from .contract import Benchmark, Files, TaskSource
from .dataset import load_rows

SOLUTION, JUDGE = "solution.py", "judge.py"
_LIVE = """\
import json, subprocess

CASES = json.loads({cases!r})
NAME = {name!r}


def same(got, wanted):
    return [line.split() for line in got.strip().splitlines()] == [line.split() for line in wanted.strip().splitlines()]


for case in CASES:
    if case.get("testtype") == "functional":
        owner = solution.Solution() if hasattr(solution, "Solution") else solution
        arguments = [json.loads(line) for line in case["input"].split("\\n") if line.strip()]
        assert _plain(getattr(owner, NAME)(*arguments)) == json.loads(case["output"]), case["input"][:200]
    else:
        done = subprocess.run([sys.executable, "solution.py"], input=case["input"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr[-500:]
        assert same(done.stdout, case["output"]), case["input"][:200]
"""


R = TypeVar("R")


class FunctionBenchmark(Benchmark, Generic[R]):
    """One row, one file. `R`: the columns of its rows, as they are published; a row without one of them is refused."""

    def read(self, path: Path) -> list[TaskSource]:
        rows, _ = load_rows(str(path))
        sources: list[TaskSource] = []
        for number, row in enumerate(rows, 1):
            try:
                sources.append(self.task(cast(R, row)))
            except (KeyError, TypeError, ValueError) as error:
                raise UsageError(
                    f"{path} row {number} is no {self.name} task: {type(error).__name__}: {error}"
                ) from error
        return sources

    @abstractmethod
    def task(self, row: R) -> TaskSource: ...


def _source(id: str, prompt: str, start: str, test: str, solution: str, *, judge: str = JUDGE) -> TaskSource:
    files: Files = {SOLUTION: _ended(start)}
    known: Files = {SOLUTION: _ended(solution)} if solution else {}
    return TaskSource(id, prompt, files, {judge: judge_program(test)}, f"python3 {judge}", known)


def judge_program(checks: str) -> str:
    """The judge: `checks` in a process of their own, whose end is told to a parent that the solution is never
    loaded in. An exit before the last check is a failure, whatever its code."""
    frame = resources.files(__package__ or __name__).joinpath("judge_frame.py").read_text("utf-8")
    before, _, after = frame.partition("# CHECKS\n")
    return before + _ended(checks) + after


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


class HumanEvalRow(TypedDict):
    task_id: str
    prompt: str
    entry_point: str
    test: str
    canonical_solution: NotRequired[str]


class HumanEval(FunctionBenchmark[HumanEvalRow]):
    """HumanEval and HumanEval+."""

    name: ClassVar[str] = "humaneval"

    def task(self, row: HumanEvalRow) -> TaskSource:
        test = f"{row['test']}\n\ncheck(_judged(solution.{row['entry_point']}))\n"
        prompt = f"Complete the function `{row['entry_point']}` in {SOLUTION}.\n\n{row['prompt']}"
        stub = row["prompt"].rstrip() + "\n    raise NotImplementedError\n"
        return _source(row["task_id"], prompt, stub, test, row["prompt"] + row.get("canonical_solution", ""))


class HumanEvalFixRow(TypedDict):
    task_id: str
    prompt: str
    declaration: NotRequired[str | None]
    entry_point: str
    test: str
    test_setup: NotRequired[str | None]
    docstring: NotRequired[str | None]
    example_test: NotRequired[str | None]
    buggy_solution: str
    canonical_solution: str


class HumanEvalFix(FunctionBenchmark[HumanEvalFixRow]):
    """HumanEvalFix (HumanEvalPack): a function with a bug, to be repaired."""

    name: ClassVar[str] = "humanevalfix"

    def task(self, row: HumanEvalFixRow) -> TaskSource:
        head = row.get("declaration") or row["prompt"]
        test = f"{row.get('test_setup') or ''}\n{row['test']}\n"
        if "check(" in row["test"] and f"check({row['entry_point']})" not in row["test"]:
            test += f"\ncheck(_judged(solution.{row['entry_point']}))\n"
        shown = row.get("docstring") or row.get("example_test") or ""
        prompt = f"Fix the bug in `{row['entry_point']}` in {SOLUTION}.\n\n{shown}"
        return _source(
            row["task_id"], prompt, head + row["buggy_solution"], test, head + row["canonical_solution"]
        )


class MBPPRow(TypedDict):
    task_id: object
    text: NotRequired[str | None]
    prompt: str
    code: NotRequired[str | None]
    canonical_solution: NotRequired[str]
    test: NotRequired[str | None]
    test_list: list[str]
    test_imports: NotRequired[list[str] | None]
    test_setup_code: NotRequired[str | None]


class MBPP(FunctionBenchmark[MBPPRow]):
    """MBPP and MBPP+."""

    name: ClassVar[str] = "mbpp"

    def task(self, row: MBPPRow) -> TaskSource:
        setup = row.get("test_setup_code") or "\n".join(row.get("test_imports") or ())
        checks = row.get("test") or "\n".join(row["test_list"])
        shown = row.get("text") or row["prompt"]
        example = (row.get("test_list") or [""])[0]
        prompt = f"{shown}\n\nWrite it to {SOLUTION}. Example:\n{example}"
        return _source(
            str(row["task_id"]),
            prompt,
            "",
            f"{setup}\n{checks}\n",
            row.get("code") or row.get("canonical_solution", ""),
        )


class BigCodeBenchRow(TypedDict):
    task_id: str
    complete_prompt: NotRequired[str | None]
    code_prompt: str
    instruct_prompt: NotRequired[str | None]
    entry_point: str
    test: str
    canonical_solution: NotRequired[str]


class BigCodeBench(FunctionBenchmark[BigCodeBenchRow]):
    """BigCodeBench: unittest classes over one function."""

    name: ClassVar[str] = "bigcodebench"

    def task(self, row: BigCodeBenchRow) -> TaskSource:
        start = row.get("complete_prompt") or row["code_prompt"]
        test = f"{row['test']}\n\n_unittests()\n"
        prompt = row.get("instruct_prompt") or f"Complete `{row['entry_point']}` in {SOLUTION}.\n\n{start}"
        return _source(
            row["task_id"],
            prompt,
            start.rstrip() + "\n    raise NotImplementedError\n",
            test,
            start + row.get("canonical_solution", ""),
        )


class NaturalCodeBenchRow(TypedDict):
    _id: NotRequired[object]
    task_id: NotRequired[object]
    prompt: str
    testcases: list[str] | str
    setup_code: NotRequired[str | None]
    reference_solution: NotRequired[str]


class NaturalCodeBench(FunctionBenchmark[NaturalCodeBenchRow]):
    """NaturalCodeBench (Python): pytest functions over a written module."""

    name: ClassVar[str] = "naturalcodebench"

    def task(self, row: NaturalCodeBenchRow) -> TaskSource:
        tests = row["testcases"]
        body = "\n\n".join(tests) if isinstance(tests, list) else tests
        test = f"{row.get('setup_code') or ''}\n{body}\n" + (
            "\nfor name, check in list(globals().items()):\n"
            "    if name.startswith('test') and callable(check):\n        check()\n"
            "    elif isinstance(check, type) and name.startswith('Test'):\n"
            "        for part in dir(check):\n            if part.startswith('test'):\n                getattr(check(), part)()\n"
        )
        return _source(
            str(row.get("_id", row.get("task_id"))),
            f"{row['prompt']}\n\nWrite it to {SOLUTION}.",
            "",
            test,
            row.get("reference_solution", ""),
        )


class LiveCodeBenchRow(TypedDict):
    question_id: object
    question_title: str
    question_content: str
    public_test_cases: object
    private_test_cases: NotRequired[object]
    metadata: NotRequired[Any]
    starter_code: NotRequired[str | None]
    solution: NotRequired[str]


class LiveCodeBench(FunctionBenchmark[LiveCodeBenchRow]):
    """LiveCodeBench code generation: programs on standard input, or one method."""

    name: ClassVar[str] = "livecodebench"

    def task(self, row: LiveCodeBenchRow) -> TaskSource:
        public, private = _cases(row["public_test_cases"]), _cases(row.get("private_test_cases") or "[]")
        metadata = row.get("metadata") or "{}"
        name = (json.loads(metadata) if isinstance(metadata, str) else metadata).get("func_name")
        shown = "\n\n".join(f"Input:\n{case['input']}\nOutput:\n{case['output']}" for case in public)
        prompt = f"{row['question_title']}\n\n{row['question_content']}\n\n{shown}\n\nWrite the program to {SOLUTION}."
        test = _LIVE.format(cases=json.dumps(public + private), name=name)
        return _source(
            str(row["question_id"]), prompt, row.get("starter_code") or "", test, row.get("solution", "")
        )


def _cases(value: Any) -> list[dict[str, object]]:
    """Test cases as JSON, or JSON under zlib and base64. The published private cases are pickled inside;
    unpickling runs code, so those are refused."""
    if not isinstance(value, str):
        return list(value)
    try:
        return json.loads(value)
    except ValueError:
        pass
    try:
        return json.loads(zlib.decompress(base64.b64decode(value)))
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError("private_test_cases are not JSON; decode pickled ones to JSON first") from error
