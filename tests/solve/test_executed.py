"""A failing test that has no word of the issue counts where it runs the function that the issue names, and only for
an edit there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from solve.conftest import Done, git

Run = Callable[..., Done]

LABELS = """
def pad_left(text, width):
    return " " * (width - len(text)) + text


def pad_right(text, width):
    return text + " " * (width - len(text){short})


def row(cells, width=6):
    return "|".join(pad_right(cell, width) for cell in cells)


def total(numbers):
    return sum(numbers) {drift}
"""
TESTS = """
from labels import row, total

def test_columns():
    assert row(["a", "bc"]) == "a     |bc    "

def test_sums():
    assert total([1, 2]) == 3
"""


def project(folder: Path, *, short: str = "", drift: str = "") -> Path:
    folder.mkdir()
    (folder / "labels.py").write_text(LABELS.format(short=short, drift=drift))
    (folder / "test_labels.py").write_text(TESTS)
    (folder / "pyproject.toml").write_text('[project]\nname = "labels"\nversion = "1"\n')
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    return folder


def test_an_edit_in_what_the_issue_names(swe_agent: Run, tmp_path: Path) -> None:
    repository = project(tmp_path / "labels", short=" - 1")
    issue = "`pad_right` is one blank short\n\nIt should fill up to the width.\n"
    done = swe_agent("solve", "--text", issue, "--repo", repository, "--json")
    assert done.code == 0, done.err
    assert "an edit there is looked for" in done.err
    patch = Path(done.json["run"], "patch.diff").read_text()
    assert "-    return text" in patch


def test_nothing_else_is_edited_for_it(swe_agent: Run, tmp_path: Path) -> None:
    """What fails is `total`, which the issue does not name; what it names is run by no failing test."""
    repository = project(tmp_path / "labels", drift="+ 1")
    issue = "`pad_left` is slow\n\nA table of many rows takes minutes.\n"
    done = swe_agent("solve", "--text", issue, "--repo", repository, "--json")
    assert done.code == 3, done.err
