"""runTests: the tests, told against the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NotRequired, Protocol, TypedDict

from ..errors import ToolError
from ..excerpt import clip_line, excerpt, printable
from ..testing.report import Comparison, TestReport
from ..workspace import Workspace
from .shell import OutputLog
from .tool import Tool, ToolResult

_FAILURES_SHOWN = 12
_MESSAGE_CHARS = 1500
_OUTPUT_CHARS = 4000


class RunsTests(Protocol):
    """What runs the project's tests; see `run_tests`."""

    __test__ = False

    def run(
        self,
        workspace: Workspace,
        selection: Sequence[str] = (),
        *,
        timeout: float | None = None,
        cold: bool = False,
    ) -> TestReport: ...

    def against_base(self, report: TestReport, *, partial: bool) -> Comparison | None:
        """What the run changed against the unmodified repository; None: that is not known."""
        ...


def tests_tool(workspace: Workspace, runner: RunsTests, logs: OutputLog) -> Tool:
    """The runTests tool."""
    return Tool(
        "runTests",
        "Run the repository's tests: the given test ids or test files, or the whole suite (of a large one the files "
        "nearest to your changes). Reports what "
        "changed against the unmodified repository, the failures with their messages, and where the full log "
        "is.",
        {
            "type": "object",
            "properties": {
                "tests": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Test ids as runTests prints them, or test files. All tests if absent.",
                },
                "timeout": {"type": "integer", "minimum": 1, "maximum": 7200, "description": "Seconds."},
            },
            "required": [],
            "additionalProperties": False,
        },
        lambda arguments: _run_tests(workspace, runner, logs, arguments),
    )


class TestArguments(TypedDict):
    tests: NotRequired[list[str]]
    timeout: NotRequired[int]


def _run_tests(
    workspace: Workspace, runner: RunsTests, logs: OutputLog, arguments: TestArguments
) -> ToolResult:
    selection = [test.strip() for test in arguments.get("tests") or ()]
    for test in selection:
        if not test or test.startswith("-") or "\0" in test or "\n" in test:
            raise ToolError(f"{test!r} is not a test id or a test file")
    report = runner.run(workspace, selection, timeout=arguments.get("timeout"))
    comparison = runner.against_base(report, partial=bool(selection))
    name = logs.save("tests", _whole_output(report))
    text = describe(report, comparison, log=f"readFile log:{name}" if name else None)
    return ToolResult(text, data={"report": report, "comparison": comparison, "selection": tuple(selection)})


def _whole_output(report: TestReport) -> str:
    if report.log_path is None:
        return report.output
    try:
        return Path(report.log_path).read_text("utf-8", "replace")
    except OSError:
        return report.output


def describe(report: TestReport, comparison: Comparison | None, *, log: str | None = None) -> str:
    """A report as a model reads it: counts, changes, failures, the output's ends, where the rest is."""
    counts = Counter(result.outcome.value for result in report.results.values())
    totals = ", ".join(f"{counts[key]} {key}" for key in sorted(counts, key=lambda k: (-counts[k], k)))
    lines = [f"{len(report.results)} tests in {report.duration_s:.1f} s: {totals or 'none ran'}"]
    if report.chosen:
        lines.append(report.chosen)
    if report.timed_out:
        lines.append("The run was killed at its time limit; tests after that did not run.")
    if comparison is not None:
        lines += _changes(comparison)
    for error in report.collection_errors[:5]:
        lines.append("COULD NOT BE COLLECTED " + excerpt(error, _MESSAGE_CHARS))
    lines += _failures(report, comparison)
    if not report.results or (report.exit_code not in (0, 1) and not report.failing):
        lines.append(f"exit code {report.exit_code}; output:")
        lines.append(excerpt(printable(report.output).strip(), _OUTPUT_CHARS) or "[no output]")
    if log:
        lines.append(f"[whole output: {log}]")
    return "\n".join(lines)


def _changes(comparison: Comparison) -> list[str]:
    shown: list[str] = []
    for label, tests in (
        ("fixed (failed before your change)", comparison.fixed),
        ("BROKEN by your change", comparison.broken),
        ("new and passing", comparison.new_passing),
        ("new and failing", comparison.new_failing),
        ("failed before and still fail", comparison.still_failing),
        ("flaky, not counted", comparison.flaky),
    ):
        if tests:
            shown.append(f"{label}: {len(tests)}: {_names(tests)}")
    return shown or ["nothing changed against the unmodified repository"]


def _names(tests: Collection[str]) -> str:
    names = [clip_line(name, 160) for name in sorted(tests)]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _failures(report: TestReport, comparison: Comparison | None) -> list[str]:
    fresh: frozenset[str] = comparison.broken | comparison.new_failing if comparison else frozenset()
    failing = sorted(report.failing, key=lambda test: (test not in fresh, test))
    shown: list[str] = []
    for test in failing[:_FAILURES_SHOWN]:
        result = report.results[test]
        shown.append(f"{result.outcome.value.upper()} {test}")
        if result.message.strip():
            shown.append(excerpt(printable(result.message).strip(), _MESSAGE_CHARS, head_share=0.3))
    if len(failing) > _FAILURES_SHOWN:
        shown.append(f"[{len(failing) - _FAILURES_SHOWN} more failures: {_names(failing[_FAILURES_SHOWN:])}]")
    return shown
