"""Whatever a model writes into an argument, it is told, and the run goes on."""

from __future__ import annotations

import json

import pytest

from swe_agent.agents.models.arguments import MOST_DEPTH, read_arguments, sendable, why_not

from .conftest import Maker

ODD = (
    "\ud800",
    "a\udfffb.py",
    "\udc80.py",
    "\0",
    "x" * 5000,
    "../../etc/passwd",
    "/dev/zero",
    "a\nb",
    "",
    "pkg",
)


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_no_text_ends_the_run(make: Maker, odd: str) -> None:
    toolbox = make("namespace").toolbox
    for name, tool in toolbox.tools.items():
        texts = [key for key, item in tool.parameters["properties"].items() if item.get("type") == "string"]
        for key in texts:
            given = {
                other: "pkg/use.py" if other == "path" else "x" for other in tool.parameters["required"]
            } | {key: odd}
            result = toolbox.call(name, given)
            assert "Traceback" not in result.text
    edits = [{"oldText": odd, "newText": odd}]
    assert not toolbox.call("editFile", {"path": "pkg/use.py", "edits": edits}).ok


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 400, 900, 100_000])
@pytest.mark.parametrize("unit", ['{"a":', '{"a":['])
def test_arguments_nested_without_end_are_told(depth: int, unit: str) -> None:
    close = "}" if unit[-1] == ":" else "]}"
    text = unit * depth + "1" + close * depth
    assert read_arguments(text) is None
    assert "nested" in why_not(text)
    assert json.loads(sendable(text)) if depth < 100 else sendable(text)
    assert read_arguments('{"a": {"b": [1]}}') == {"a": {"b": [1]}}
