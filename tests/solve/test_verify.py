"""`swe-agent verify`: the verdict alone, from a file, a checkout and a pull request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from forges.forge_server import ForgeServer

from .conftest import FAILING, RIGHT, WRONG, Done, git

Run = Callable[..., Done]


def change(parking: Path, new: str) -> None:
    file = parking / "parking" / "tariff.py"
    file.write_text(file.read_text().replace(WRONG, new))


def test_a_fix_and_a_breaking_change(swe_agent: Run, parking: Path) -> None:
    change(parking, RIGHT)
    right = swe_agent("verify", "--repo", parking, "--test", FAILING[0], "--json")
    assert right.code == 0, right.err
    assert right.json["fixed"] == FAILING
    assert right.json["broken"] == []
    before = git(parking, "status", "--porcelain")
    change_back = git(parking, "diff")
    git(parking, "checkout", "-q", ".")
    change(parking, WRONG.replace("+ 1", "+ 2"))
    wrong = swe_agent("verify", "--repo", parking, "--json")
    assert wrong.code == 4
    assert wrong.json["broken"]
    assert git(parking, "status", "--porcelain") == before
    by_file = parking.parent / "fix.diff"
    by_file.write_text(change_back)
    assert swe_agent("verify", "--repo", parking, "--patch", by_file, "-q").code == 0


def test_a_named_test_that_stays_red(swe_agent: Run, parking: Path) -> None:
    (parking / "notes.md").write_text("a note\n")
    git(parking, "add", "-A")
    done = swe_agent("verify", "--repo", parking, "--staged", "--test", FAILING[0], "--json")
    assert done.code == 4
    assert done.json["failed_targets"] == [FAILING[0]]
    assert done.json["broken"] == []


def test_a_patch_decides_nothing(swe_agent: Run, parking: Path) -> None:
    """Weakened tests, a hook and a skipped suite leave a broken product broken; a new test counts apart."""
    tests = next(parking.glob("tests/test_*.py"))
    change(parking, WRONG.replace("+ 1", "+ 2"))
    tests.write_text("def test_nothing():\n    assert True\n")
    (parking / "conftest.py").write_text(
        "def pytest_runtest_makereport(item, call):\n"
        "    from _pytest.reports import TestReport\n"
        "    report = TestReport.from_item_and_call(item, call)\n"
        "    report.outcome = 'passed'\n"
        "    return report\n"
    )
    git(parking, "add", "-A")
    bent = swe_agent("verify", "--repo", parking, "--staged", "--json")
    assert bent.code == 4, bent.out
    assert bent.json["broken"]
    git(parking, "reset", "-q", "--hard")
    change(parking, RIGHT)
    (tests.parent / "test_more.py").write_text("def test_more():\n    assert True\n")
    git(parking, "add", "-A")
    named = f"{tests.parent.name}/test_more.py::test_more"
    honest = swe_agent("verify", "--repo", parking, "--staged", "--test", named, "--json")
    assert honest.code == 0, honest.out
    assert honest.json["failed_targets"] == honest.json["broken"] == honest.json["marks"] == []


def test_an_existing_test_that_the_patch_has_to_change_is_said(swe_agent: Run, parking: Path) -> None:
    change(parking, WRONG.replace("+ 1", "+ 2"))
    broken = swe_agent("verify", "--repo", parking, "--json").json["broken"]
    tests = parking / broken[0].partition("::")[0]
    text = tests.read_text()
    name = broken[0].rpartition("::")[2].partition("[")[0]
    start = text.index(f"def {name}(")
    end = text.find("\n\n", start)
    tests.write_text(text[:start] + f"def {name}():\n    assert True" + (text[end:] if end > 0 else "\n"))
    done = swe_agent("verify", "--repo", parking, "--json")
    assert done.code == 4
    assert broken[0] in done.json["contradicted"]
    assert "contradict the patch, which changes them" in done.json["status"]


def test_a_pull_request(swe_agent: Run, parking: Path, tmp_path: Path) -> None:
    with ForgeServer(tmp_path) as forge:
        forge.add_repository("octo/parking", source=parking)
        branch = forge.repositories["octo/parking"]["default_branch"]
        change(parking, RIGHT)
        git(parking, "commit", "-q", "-am", "fix")
        git(parking, "push", "-q", str(forge.git_dir("octo/parking")), "HEAD:refs/pull/5/head")
        forge.pulls["octo/parking"] = [
            {"number": 5, "state": "open", "head": {"ref": "x", "sha": "", "repo": None}, "base": {"ref": branch},
             "label": "x"}
        ]  # fmt: skip
        done = swe_agent("verify", "--pr", f"{forge.url}/octo/parking/pull/5", "--json")
        assert done.code == 0, done.err
        assert done.json["fixed"] == FAILING


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--patch", "nowhere.diff"], 2, "cannot be read"),
        (["--patch", "x", "--staged"], 2, "exclude each other"),
        (["--staged"], 2, "nothing is staged"),
        ([], 2, "no uncommitted changes"),
        (["--pr", "https://github.com/a/b/issues/1"], 8, "not the URL of a pull request"),
        (["--base", "nowhere"], 2, "nowhere"),
    ],
)
def test_mistakes_are_one_line(
    swe_agent: Run, parking: Path, arguments: list[str], code: int, words: str
) -> None:
    done = swe_agent("verify", "--repo", parking, *arguments)
    assert done.code == code
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_patch_that_does_not_apply(swe_agent: Run, parking: Path) -> None:
    text = "diff --git a/zz b/zz\n--- a/zz\n+++ b/zz\n@@ -1 +1 @@\n-a\n+b\n"
    done = swe_agent("verify", "--repo", parking, "--patch", "-", stdin=text)
    assert done.code == 4
    assert "does not apply" in done.err
