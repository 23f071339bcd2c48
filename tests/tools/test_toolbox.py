from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.errors import SandboxError, ToolError
from swe_agent.tools.excerpt import excerpt
from swe_agent.tools.testing.report import Baseline, Comparison, Outcome, TestReport, TestResult, compare
from swe_agent.tools.toolbox.arguments import check_arguments
from swe_agent.tools.toolbox.tool import Tool, ToolResult
from swe_agent.tools.toolbox.toolbox import NAMES
from swe_agent.tools.workspace import Workspace


def test_unknown_tools_and_wrong_arguments_are_explained(tools) -> None:
    text = tools.refused("readfile", path="x")
    assert "did you mean readFile" in text
    assert all(name in text for name in tools.toolbox.tools)
    assert "missing argument path" in tools.refused("readFile")
    assert "unknown argument pth (did you mean path?)" in tools.refused("readFile", pth="x")
    assert "path must be a string, not the number 3" in tools.refused("readFile", path=3)
    text = tools.refused(
        "editFile", path="x", edits=[{"oldText": "a"}, {"oldText": 1, "newText": "b", "z": 0}]
    )
    assert "missing argument edits[0].newText" in text
    assert "edits[1].oldText must be a string" in text
    assert "unknown argument edits[1].z" in text
    assert "at least 1 item" in tools.refused("editFile", path="x", edits=[])
    assert "must be one of" in tools.refused("search", query="x", mode="fuzzy")
    assert "must be true or false" in tools.refused("search", query="x", ignoreCase="yes")
    for arguments in (None, [], "x", 3):
        assert not tools.toolbox.call("readFile", arguments).ok


def test_what_models_send_for_numbers_and_arrays(tools) -> None:
    assert "lines 2-3" in tools.ok("readFile", path="pkg/shapes.py", startLine="2", endLine=3.0)
    tools.ok("readFile", path="pkg/shapes.py", startLine=None)
    edits = json.dumps([{"oldText": "SIDES = 4", "newText": "SIDES = 5"}])
    tools.ok("editFile", path="pkg/shapes.py", edits=edits)
    assert "must be an integer" in tools.refused("readFile", path="x", startLine=True)
    assert "must be an integer" in tools.refused("readFile", path="x", startLine="two")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    _JSON | st.fixed_dictionaries({}, optional={"path": _JSON, "edits": _JSON, "flag": _JSON, "count": _JSON})
)
def test_any_arguments_are_taken_or_refused(arguments: object) -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "flag": {"type": "boolean"},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "edits": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "number"}}}},
        },
        "required": ["path"],
    }
    try:
        checked = check_arguments(schema, arguments)
    except ToolError:
        return
    assert isinstance(checked["path"], str)
    assert set(checked) <= {"path", "flag", "count", "edits"}
    assert 1 <= checked.get("count", 1) <= 9


def test_schemas_are_stable_and_in_order(make) -> None:
    first, second = make(), make(allowed=set(NAMES))
    assert json.dumps(first.toolbox.schemas) == json.dumps(second.toolbox.schemas)
    names = [schema["function"]["name"] for schema in first.toolbox.schemas]
    assert names == [name for name in NAMES if name != "runTests"], "without a runner it is not offered"
    for schema in first.toolbox.schemas:
        parameters = schema["function"]["parameters"]
        assert parameters["additionalProperties"] is False
        assert set(parameters["required"]) <= set(parameters["properties"])


def test_a_role_gets_only_what_it_may_use(make) -> None:
    reader = make(allowed=("readFile", "search", "shell"))
    assert list(reader.toolbox.tools) == ["readFile", "search", "shell"]
    assert "there is no tool" in reader.refused("writeFile", path="x", content="y")
    with pytest.raises(ValueError, match="telepathy"):
        make(allowed=("telepathy",))


def test_extra_tools(make) -> None:
    seen: list[object] = []

    def run(arguments) -> ToolResult:
        seen.append(arguments)
        return ToolResult("done", data={"finish": arguments})

    schema = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}
    bench = make(allowed=("readFile",), extra=[Tool("finish", "End.", schema, run)])
    assert list(bench.toolbox.tools) == ["readFile", "finish"]
    assert bench("finish", summary="s").data == {"finish": {"summary": "s"}}
    assert "missing argument summary" in bench.refused("finish")
    assert seen == [{"summary": "s"}]


def test_a_readers_shell_works_on_a_copy(make) -> None:
    reader = make(allowed=("readFile", "shell"))
    assert reader.ok("shell", command="echo hacked > pkg/use.py; cat pkg/use.py").endswith("hacked")
    assert "hacked" not in reader.ok("readFile", path="pkg/use.py")
    assert reader.toolbox.tools["shell"].mutates is False
    writer = make()
    writer.ok("shell", command="echo '# mine' > pkg/use.py")
    assert "# mine" in writer.ok("readFile", path="pkg/use.py")
    assert writer.toolbox.tools["shell"].mutates is True


def test_the_shell_is_stateless_and_bounded(tools) -> None:
    text = tools.ok("shell", command="cd pkg; X=1; echo out; echo err >&2; exit 3")
    assert text.startswith("[exit code 3]")
    assert text.endswith("out\nerr")
    assert "no output" in tools.ok("shell", command="test -z $X && test -d pkg")
    result = tools("shell", command="seq 100000")
    assert len(result.text) < 13_000
    assert "\n1\n2\n" in result.text
    assert "99999\n100000" in result.text
    name = result.text.rpartition("log:")[2].rstrip("]")
    assert "50000" in tools.ok("readFile", path=f"log:{name}", startLine=50_000, endLine=50_000)
    colours = tools.ok("shell", command=r"printf '\033[31mred\033[0m\r\n10%%\r20%%\n\a\0x'")
    assert colours == "[exit code 0]\nred\n10%\n20%\nx"
    assert "empty" in tools.refused("shell", command="  ")
    assert "NUL" in tools.refused("shell", command="a\0b")


def test_a_command_that_hangs_is_killed(tools) -> None:
    started = time.monotonic()
    result = tools("shell", command="sleep 60 & sleep 60", timeout=1)
    assert "killed after 1 s" in result.text
    assert result.data["timed_out"] is True
    assert time.monotonic() - started < 10
    tools.ok("shell", command="true")


def test_what_a_model_can_break_is_no_failure_of_the_sandbox(tools) -> None:
    assert "100 kB" in tools.refused("shell", command=f"cat <<X\n{'y' * 200_000}\nX")
    for path in ("q" * 256, "/".join(["q" * 250] * 17), "x" * 200_000):
        tools.refused("writeFile", path=path, content="x")
        tools.refused("readFile", path=path)
        tools.refused("findFiles", pattern=f"/{path}")
    tools.refused("search", query="y" * 200_000)
    assert "surrogate" in tools.refused("writeFile", path="x.txt", content="\ud800")
    tools.ok("shell", command="rm -rf .git")
    for name in ("diff", "fileMap"):
        tools.refused(name)
    tools.refused("findFiles", pattern="x")
    tools.ok("readFile", path="pkg/use.py")


def test_calls_from_several_threads_take_turns(tools) -> None:
    tools.ok("writeFile", path="n.txt", content="n0\n")

    def add(number: int) -> None:
        tools("editFile", path="n.txt", edits=[{"oldText": "n0\n", "newText": f"n0\nline {number}\n"}])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tools.bytes("n.txt").count(b"line") == 8


def test_a_dead_sandbox_is_not_the_models_mistake(make) -> None:
    bench = make()
    bench.workspace.close()
    with pytest.raises(SandboxError):
        bench("readFile", path="pkg/use.py")


class Runner:
    """Stands in for a project's runner: says what it is told to say."""

    def __init__(self, report: TestReport, baseline: Baseline | None) -> None:
        self.report, self.baseline = report, baseline
        self.asked: list[tuple[Sequence[str], float | None]] = []

    def run(
        self,
        workspace: Workspace,
        selection: Sequence[str] = (),
        *,
        timeout: float | None = None,
        cold: bool = False,
    ) -> TestReport:
        self.asked.append((tuple(selection), timeout))
        return self.report

    def against_base(self, report: TestReport, *, partial: bool) -> Comparison | None:
        return compare(self.baseline, report, partial=partial) if self.baseline else None


def report(**outcomes: str) -> TestReport:
    results = {
        name: TestResult(Outcome(outcome), 0.1, f"E assert {name}" if outcome == "failed" else "")
        for name, outcome in outcomes.items()
    }
    bad = any(result.outcome.bad for result in results.values())
    return TestReport(results, int(bad), 1.5, "start\n" + "noise\n" * 3000 + "the end")


def test_run_tests_tells_what_changed(make) -> None:
    baseline = Baseline.of([report(a="failed", b="passed", c="failed", d="passed")])
    runner = Runner(report(a="passed", b="failed", c="failed", d="passed", e="passed"), baseline)
    result = make(runner=runner)("runTests")
    lines = result.text.split("\n")
    assert lines[0] == "5 tests in 1.5 s: 3 passed, 2 failed"
    assert "fixed (failed before your change): 1: a" in lines
    assert "BROKEN by your change: 1: b" in lines
    assert "failed before and still fail: 1: c" in lines
    assert "new and passing: 1: e" in lines
    assert result.text.index("FAILED b") < result.text.index("FAILED c"), "what the change broke comes first"
    assert "E assert b" in result.text
    assert "the end" not in result.text, "each failure is told once"
    assert len(result.text) < 5000
    assert result.data["report"] is runner.report
    assert result.data["comparison"].broken == {"b"}


def test_run_tests_of_a_selection(make) -> None:
    runner = Runner(report(a="passed"), Baseline.of([report(a="passed", b="passed")]))
    result = make(runner=runner)("runTests", tests=["a", " tests/x.py "], timeout=30)
    assert runner.asked == [(("a", "tests/x.py"), 30)]
    assert "nothing changed" in result.text
    bench = make(runner=runner)
    for test in ("", "-x", "--co", "a\nb"):
        assert "not a test id" in bench.refused("runTests", tests=[test])


def test_run_tests_when_nothing_ran(make) -> None:
    broken = TestReport(
        {}, 4, 0.2, "ERROR: file not found: tests/x.py", collection_errors=("tests/x.py: boom",)
    )
    text = make(runner=Runner(broken, None)).ok("runTests")
    assert "0 tests" in text
    assert "none ran" in text
    assert "file not found" in text
    assert "boom" in text
    timed_out = TestReport({"a": TestResult(Outcome.PASSED)}, 124, 60.0, "", timed_out=True)
    assert "killed at its time limit" in make(runner=Runner(timed_out, None)).ok("runTests")


def test_many_and_long_failures_are_bounded(make) -> None:
    results = {f"t{n:03}": TestResult(Outcome.FAILED, 0.1, "x" * 100_000) for n in range(300)}
    text = make(runner=Runner(TestReport(results, 1, 9.0, "y" * 1_000_000), None)).ok("runTests")
    assert len(text) < 30_000
    assert "288 more failures" in text


def test_diff_gives_the_patch(tools) -> None:
    assert tools("diff").data["patch"].is_empty
    tools.ok("writeFile", path="new.py", content="x = 1\n")
    result = tools("diff")
    assert result.data["patch"].files == ("new.py",)
    assert "+x = 1" in result.text


@given(st.text(alphabet="ab\n", max_size=3000), st.integers(50, 1000))
def test_an_excerpt_keeps_both_ends(text: str, limit: int) -> None:
    shown = excerpt(text, limit)
    if len(text) <= limit:
        assert shown == text
    else:
        head, _, tail = shown.partition("[... ")
        assert text.startswith(head.rstrip("\n"))
        assert text.endswith(tail.partition("]\n")[2])
        assert len(shown) <= limit + 80
