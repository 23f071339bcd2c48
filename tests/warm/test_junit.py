"""JUnit XML in the dialects that runners write."""

from __future__ import annotations

import pytest

from swe_agent.tools.testing.junit import parse_junit
from swe_agent.tools.testing.report import Outcome


def test_dialects() -> None:
    text = b"""<?xml version="1.0"?><testsuites><testsuite name="s">
      <testcase classname="pkg.Class" name="ok" time="1,234.5"/>
      <testcase classname="pkg.Class" name="bad"><failure message="m">trace</failure></testcase>
      <testcase name="crash" file="a.js"><error message="e"/></testcase>
      <testcase name="off" status="skipped"/>
      <testcase name="skip"><skipped message="why"/></testcase>
      <testcase name="x"><skipped type="pytest.xfail" message="later"/></testcase>
      <testcase classname="pkg.Class" name="ok" time="bad"><failure/></testcase>
    </testsuite></testsuites>"""
    results = parse_junit(text)
    assert {test: result.outcome for test, result in results.items()} == {
        "pkg.Class.ok": Outcome.FAILED,
        "pkg.Class.bad": Outcome.FAILED,
        "a.js::crash": Outcome.ERROR,
        "off": Outcome.SKIPPED,
        "skip": Outcome.SKIPPED,
        "x": Outcome.XFAILED,
    }
    assert results["pkg.Class.bad"].message == "m\ntrace"


@pytest.mark.parametrize(
    "data", [b"", b"<a>", b"<html/>", b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>', b"\xff\xfe"]
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="JUnit"):
        parse_junit(data)


def test_an_empty_suite_has_no_tests() -> None:
    assert parse_junit(b"<testsuites/>") == {}
