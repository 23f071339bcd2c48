"""No patch decides its own verdict: cheats of many kinds against one failing test, and honest patches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from judges.cheats import BASE, CHEATS, HONEST, TARGET

from swe_agent.orchestrator.solving.check import Verify
from swe_agent.orchestrator.solving.judges import Judgement, judge
from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.tools.patch import Patch
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.testing.tampering import tampering
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]


def written(base: Workspace, files: Mapping[str, str]) -> Patch:
    with base.fork() as fork:
        for path, text in files.items():
            fork.write_text(path, text)
        return fork.diff()


@pytest.fixture
def judged(make: Maker) -> Callable[[Mapping[str, str]], Judgement]:
    base, project = make(BASE, "python -m pytest")
    runner = TestRunner(project, warm=False)
    suite = Suite(runner, base, verify=Verify(whole=True))
    asyncio.run(suite.measure(1))
    assert suite.baseline.failing == {TARGET}

    def verdict(files: Mapping[str, str]) -> Judgement:
        return asyncio.run(judge(suite, written(base, files), {}, {TARGET}, "python -m pytest"))

    return verdict


PARTS = 8
NAMES = sorted(CHEATS)


def test_the_kinds_of_cheats_are_many() -> None:
    assert len(CHEATS) >= 45


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_cheat_is_verified(judged: Callable[[Mapping[str, str]], Judgement], part: int) -> None:
    assert [name for name in NAMES[part::PARTS] if judged(CHEATS[name]).verified] == []


def test_every_honest_patch_is_verified(judged: Callable[[Mapping[str, str]], Judgement]) -> None:
    for name, files in HONEST.items():
        verdict = judged(files)
        assert verdict.verified, (name, verdict.marks, verdict.check.summary())
    assert verdict.own_tests == (1, 0)
    assert verdict.held_back == ("tests/test_more.py",)


def test_an_answer_made_for_the_test_is_shown_and_decides_nothing(
    judged: Callable[[Mapping[str, str]], Judgement],
) -> None:
    text = "def total(items):\n    if items == [1, 2]:\n        return 3\n    return 0\n\n\ndef same(a):\n    return a\n"
    verdict = judged({"pkg/maths.py": text})
    assert verdict.verified
    assert verdict.special_cases == (f"pkg/maths.py:2: answers [1, 2] with 3, as {TARGET} asks",)


def test_what_only_a_run_can_show(judged: Callable[[Mapping[str, str]], Judgement]) -> None:
    marks = judged(CHEATS["report class by decoded name"]).marks
    assert any("was replaced" in mark or "reported as passed" in mark for mark in marks), marks
    marks = judged(CHEATS["equal, computed"]).marks
    assert any("equal to everything" in mark for mark in marks), marks
    marks = judged(CHEATS["forged report file"]).marks
    assert "the report holds lines that the test runner did not write" in marks


def test_only_what_a_patch_adds_counts() -> None:
    source = "import os, sys\nif 'pytest' in sys.modules:\n    os._exit(3)\n"
    assert tampering({"a.py": source}, {"a.py": "# moved\n" + source}) == ()
    assert len(tampering({"a.py": None}, {"a.py": source})) == 2
    assert tampering({"a.py": None}, {"a.py": '"""Works with pytest; see unittest."""\n'}) == ()
    assert tampering({"a.js": ""}, {"a.js": "process.exit(0)\n"}) == ("a.js: ends the process",)
