"""JUnit XML: test results of any runner that writes it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from .report import Outcome, TestResult

MAX_BYTES = 50_000_000
_MESSAGE_CHARS = 6000


def parse_junit(data: bytes) -> Mapping[str, TestResult]:
    """Test id (`classname.name`, or `file::name` where no class is given) → result.

    Reads the dialects of pytest, surefire, jest-junit, gotestsum, mocha and others: `testsuites` or
    `testsuite` at the top, `failure`, `error`, `skipped` or a `status` attribute on `testcase`. A test
    that occurs several times counts as its worst run.

    Raises: ValueError when it is not JUnit XML (entities are refused: they can blow up without bound).
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"the JUnit XML is larger than {MAX_BYTES} bytes")
    if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
        raise ValueError("the JUnit XML declares a document type")
    try:
        top = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"the JUnit XML is malformed: {error}") from error
    results: dict[str, TestResult] = {}
    for case in top.iter():
        if case.tag.rpartition("}")[2] == "testcase":
            test, result = _case(case)
            known = results.get(test)
            if known is None or (result.outcome.bad and not known.outcome.bad):
                results[test] = result
    if not results and top.tag.rpartition("}")[2] not in ("testsuites", "testsuite"):
        raise ValueError(f"not JUnit XML: the top element is {top.tag}")
    return results


def _case(case: ElementTree.Element) -> tuple[str, TestResult]:
    name = case.get("name") or "unnamed"
    group = case.get("classname") or ""
    file = case.get("file") or ""
    test = f"{group}.{name}" if group and group != name else (f"{file}::{name}" if file else name)
    outcome, message = Outcome.PASSED, ""
    for child in case:
        tag = child.tag.rpartition("}")[2]
        found = {"failure": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED}.get(tag)
        if found is not None and not outcome.bad:
            outcome = found
            message = "\n".join(filter(None, (child.get("message"), (child.text or "").strip())))
            if tag == "skipped" and "xfail" in (child.get("type") or ""):
                outcome = Outcome.XFAILED
    if outcome is Outcome.PASSED and (case.get("status") or "").lower() in ("skipped", "disabled", "notrun"):
        outcome = Outcome.SKIPPED
    try:
        duration = float((case.get("time") or "").replace(",", ""))
    except ValueError:
        duration = None
    if len(message) > _MESSAGE_CHARS:
        message = message[: _MESSAGE_CHARS // 3] + "\n[...]\n" + message[-2 * _MESSAGE_CHARS // 3 :]
    return test, TestResult(outcome, duration, message)
