"""Which test files a change can concern: found by reading, in layouts as they come."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from swe_agent.tools.patch import Patch
from swe_agent.tools.testing.impact.change import Change
from swe_agent.tools.testing.impact.ranking import Impact
from swe_agent.tools.testing.impact.source_tree import SourceTree

TEST = "def test_it():\n    assert True\n"
Make = Callable[..., Impact]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")

    def build(*commits: Mapping[str, str], cache: Path | None = None) -> Impact:
        for files in commits:
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
            git(folder, "add", "-A")
            git(folder, "commit", "-qm", "c", "--allow-empty")
        return Impact(SourceTree(folder, git(folder, "rev-parse", "HEAD")), cache)

    return build


def first(impact: Impact, change: Change) -> str:
    return impact.rank(change)[0].path


OTHERS = {f"tests/test_{name}.py": TEST for name in ("alpha", "beta", "gamma", "delta")}


@pytest.mark.parametrize(
    ("files", "changed", "nearest"),
    [
        (
            {"src/pkg/__init__.py": "", "src/pkg/core.py": "def f(): pass\n"}
            | {"tests/test_zeta.py": f"from pkg.core import f\n{TEST}"},
            "src/pkg/core.py",
            "tests/test_zeta.py",
        ),
        (  # passed on by the package, imported inside a function, by a relative import
            {
                "pkg/__init__.py": "from .deep import *\n",
                "pkg/deep/__init__.py": "from .core import (\n  f as g,\n)\n",
            }
            | {"pkg/deep/core.py": "def f(): pass\n", "pkg/tests/__init__.py": ""}
            | {"pkg/tests/test_zeta.py": "def test_it():\n    from .. import g\n"}
            | {
                "pkg/tests/test_eta.py": "def test_it():\n    from ..other import h\n",
                "pkg/other.py": "def h(): pass\n",
            },
            "pkg/deep/core.py",
            "pkg/tests/test_zeta.py",
        ),
        (  # a namespace package
            {
                "space/part/core.py": "def f(): pass\n",
                "tests/test_zeta.py": f"import space.part.core\n{TEST}",
            },
            "space/part/core.py",
            "tests/test_zeta.py",
        ),
        (  # a fixture nobody imports
            {"pkg/__init__.py": "", "pkg/core.py": "def f(): pass\n", "more/test_zeta.py": TEST}
            | {"more/conftest.py": "from pkg.core import f\n"},
            "pkg/core.py",
            "more/test_zeta.py",
        ),
        (  # named in a string
            {"pkg/__init__.py": "", "pkg/core.py": "", "tests/test_zeta.py": f'APPS = ["pkg.core"]\n{TEST}'},
            "pkg/core.py",
            "tests/test_zeta.py",
        ),
        ({"lib/parser.js": "x", "tests/parser.test.js": "y"}, "lib/parser.js", "tests/parser.test.js"),
        ({"a/models.py": "", "tests/a_models/tests.py": TEST}, "a/models.py", "tests/a_models/tests.py"),
    ],
)
def test_the_nearest_test(make: Make, files: dict[str, str], changed: str, nearest: str) -> None:
    assert first(make(OTHERS | files), Change({changed: 1.0})) == nearest


def test_what_changed_together_before(make: Make) -> None:
    start = OTHERS | {"pkg/a.py": "0", "pkg/b.py": "0"}
    together = [{"pkg/a.py": str(n), "tests/test_gamma.py": f"{TEST}# {n}\n"} for n in range(3)]
    assert first(make(start, *together), Change({"pkg/a.py": 1.0})) == "tests/test_gamma.py"


def test_names_around_the_changed_lines(make: Make) -> None:
    source = "class Cache:\n    def drop_oldest(self):\n        x = 1\n        return x\n"
    impact = make(
        OTHERS | {"store.py": source, "tests/test_zeta.py": "def test_it():\n    c.drop_oldest()\n"}
    )
    diff = "--- a/store.py\n+++ b/store.py\n@@ -3,2 +3,2 @@\n         x = 1\n-        return x\n+        return 2\n"
    change = Change.of(Patch(diff), text_of=impact.tree.text)
    assert {"Cache", "drop_oldest"} <= {name for name, weight in change.names.items() if weight == 1.0}
    assert first(impact, change) == "tests/test_zeta.py"


def test_an_issue_alone(make: Make) -> None:
    impact = make(
        OTHERS | {"store.py": "def drop_oldest(): pass\n", "tests/test_zeta.py": f"import store\n{TEST}"}
    )
    assert first(impact, Change.of(None, "`drop_oldest` forgets the newest")) == "tests/test_zeta.py"


def test_what_can_be_reached_and_what_cannot(make: Make) -> None:
    files = {"a.py": "import b\n", "b.py": "", "c.py": "", "tests/test_a.py": f"import a\n{TEST}"}
    impact = make(files | {"tests/test_c.py": f"import c\n{TEST}"})
    assert impact.reaching(Change({"b.py": 1.0})) == {"tests/test_a.py"}


def test_facts_come_from_the_cache_and_a_damaged_one_is_a_miss(make: Make, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    files = OTHERS | {"a.py": "", "tests/test_zeta.py": f"from a import x as y\n{TEST}"}
    fresh = make(files, cache=cache)
    again = Impact(fresh.tree, cache)
    assert fresh.facts == again.facts == Impact(fresh.tree).facts
    next(cache.glob("facts-*")).write_bytes(b"nothing of ours")
    assert Impact(fresh.tree, cache).facts == fresh.facts


@pytest.mark.parametrize(
    ("files", "suite"),
    [
        (  # a runner, a data file and a helper lie among tests; pytest, unittest, Django and nose name theirs
            dict.fromkeys(
                (
                    *(
                        "pkg/testing/runtests.py",
                        "pkg/testing/randtest.py",
                        "tests/latest.py",
                        "tests/helper.py",
                    ),
                    *("pkg/tests/test_a.py", "tests/a_test.py", "tests/app/tests.py", "tests/testall.py"),
                    *("tests/x_tests.py", "tests/LoadTest.py", "tests/ThingTests.py"),
                ),
                TEST,
            ),
            {
                *("pkg/tests/test_a.py", "tests/a_test.py", "tests/app/tests.py", "tests/testall.py"),
                *("tests/x_tests.py", "tests/LoadTest.py", "tests/ThingTests.py"),
            },
        ),
        (  # named by the configuration, by name and by path
            dict.fromkeys(
                ("tests/check_a.py", "testing/python/b.py", "testing/c.py", "tests/test_d.py"), TEST
            )
            | {"tox.ini": "[pytest]\npython_files = check_*.py testing/python/*.py\n"},
            {"tests/check_a.py", "testing/python/b.py", "tests/test_d.py"},
        ),
        (
            dict.fromkeys(("tests/check_a.py", "tests/b.py", "tests/test_c.py"), TEST)
            | {"pyproject.toml": '[tool.pytest.ini_options]\npython_files = ["check_*.py"]\n'},
            {"tests/check_a.py", "tests/test_c.py"},
        ),
        ({"tests/one.py": TEST, "tests/two.py": TEST}, {"tests/one.py", "tests/two.py"}),  # named elsewhere
    ],
)
def test_a_suite_holds_what_its_runner_takes(make: Make, files: Mapping[str, str], suite: set[str]) -> None:
    assert set(make(files).tests) == suite
