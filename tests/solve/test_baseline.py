"""A baseline that says nothing about the code: why, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Done, events, git

Run = Callable[..., Done]


def add(parking: Path, name: str, text: str) -> None:
    (parking / name).write_text(text)
    git(parking, "add", "-A")
    git(parking, "commit", "-qm", "more")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "RuntimeError: no database here (exit code 4)"),
        (["--test-cmd", "nosuchtool --all"], "nosuchtool: command not found (exit code 127)"),
        (["--test-cmd", "python -m unittest discover -s parking"], "no test was found"),
    ],
)
def test_tests_that_cannot_run_are_not_tests_that_do_not_fail(
    swe_agent: Run, parking: Path, tmp_path: Path, flags: list[str], words: str
) -> None:
    add(parking, "conftest.py", "raise RuntimeError('no database here')\n")
    done = swe_agent("solve", "--text", "x", "--repo", parking, "--json", "--output", "r", *flags)
    assert done.code == 3
    assert "the tests could not be run on the base commit: " in done.json["status"]
    assert words in done.json["status"]
    assert words in done.err
    assert "--test-cmd" in done.json["status"]
    assert events(tmp_path / "r", "baseline")[0]["problem"].endswith(words)


def test_what_is_not_installed_does_not_show_the_issue(swe_agent: Run, parking: Path, tmp_path: Path) -> None:
    """A test file that lacks a module fails before and after; the issue is solved all the same."""
    add(parking, "tests/test_other.py", "import nosuchmodule\n\ndef test_it():\n    assert nosuchmodule\n")
    done = swe_agent("solve", "--text", "Charged too much", "--repo", parking, "--json", "--output", "r")
    assert done.code == 0, done.err
    assert "tests cannot import nosuchmodule" in done.err
    assert events(tmp_path / "r", "baseline")[0]["lacking"] == ["nosuchmodule"]
    assert not any("test_other" in test for test in events(tmp_path / "r", "reproduction")[0]["targets"])
