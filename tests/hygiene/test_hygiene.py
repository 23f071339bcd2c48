from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.tools.automation import automations
from swe_agent.tools.errors import PatchError
from swe_agent.tools.hygiene import clean_patch
from swe_agent.tools.patch import Patch
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.testing.test_files import is_test_file
from swe_agent.tools.workspace import Workspace

TEST = """import pytest


def test_one():
    assert 1 == 1
    assert 2 == 2


def test_two():
    with pytest.raises(ValueError):
        int("x")
"""
FILES = {
    "pkg/core.py": "def f(x):\n    return x + 1\n",
    "pkg/broken.py": "def f(:\n",
    "pkg/data.json": '{"a": 1}\n',
    "tests/test_core.py": TEST,
    "tests/cases.txt": "a\n",
    "README.md": "# Read me\n",
    "docs/old.log": "kept since long ago\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    source = tmp_path / "source"
    for name, text in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    with Workspace(
        open_sandbox("plain", SandboxSpec(source=source, scratch=tmp_path / "scratch")), head
    ) as found:
        yield found


def clean(workspace: Workspace, **options: object):
    return clean_patch(workspace, workspace.diff(), **options)  # type: ignore[arg-type]


def removed(workspace: Workspace, **options: object) -> dict[str, str]:
    return {item.path: item.reason for item in clean(workspace, **options).removed}


def test_a_clean_patch_stays_as_it_is(workspace: Workspace) -> None:
    workspace.write_text("pkg/core.py", "def f(x):\n    return x + 2\n")
    workspace.write_text("pkg/new.py", "y = 1\n")
    workspace.write_text("tests/test_new.py", "def test_new():\n    assert True\n")
    workspace.write_text("docs/old.log", "changed on purpose\n")
    patch = workspace.diff()
    result = clean_patch(workspace, patch)
    assert result.patch == patch
    assert result.removed == result.faults == ()


def test_what_does_not_belong_is_removed_and_listed(workspace: Workspace) -> None:
    workspace.write_text("pkg/core.py", "def f(x):\n    return x + 2\n")
    junk = {
        "pkg/__pycache__/core.cpython-311.pyc": "cache or build artefact",
        ".pytest_cache/README.md": "cache or build artefact",
        "thing.egg-info/PKG-INFO": "cache or build artefact",
        "pkg/core.py.orig": "cache or build artefact",
        "out.log": "cache or build artefact",
        "reproduce.py": "stray script",
        "repro_issue_12.py": "stray script",
        "test_fix.py": "stray script",
        "debug_core.py": "stray script",
        "fix.patch": "stray script",
        "scratch/notes.md": "stray script",
    }
    for path in junk:
        workspace.write_text(path, "x = 1\n")
    workspace.sandbox.write_bytes("logo.png", b"\x89PNG\0\1\2" * 40)
    workspace.exec("ln -s /etc/passwd link; ln -s pkg/core.py good; ln -s ../../up up; git init -q nested; "
                   "cd nested; git -c user.name=t -c user.email=t@l commit -q --allow-empty -m x")  # fmt: skip
    result = clean(workspace)
    outside = "symbolic link that leads outside the repository"
    expected = {
        **junk,
        "logo.png": "binary file",
        "link": outside,
        "up": outside,
        "nested": "git repository of its own",
    }
    assert {item.path: item.reason for item in result.removed} == expected
    assert result.patch.files == ("good", "pkg/core.py")
    assert set(result.patch.after) == {"good", "pkg/core.py"}
    assert result.faults == ()


def test_names_that_only_look_stray(workspace: Workspace) -> None:
    kept = ("temperature.py", "template.py", "debugger.py", "tmpfs.py", "demography.py", "pkg/debug.py",
            "pkg/try_it.py", "reproducibility.md", "checks.py", "tests/tmp_files.py", "minimalist.py")  # fmt: skip
    for path in kept:
        workspace.write_text(path, "x = 1\n")
    workspace.write_text("debug.py", "x = 1\n")
    workspace.write_text("pkg/core.py", "import debug\n\n\ndef f(x):\n    return x + 2\n")
    assert removed(workspace) == {}, "debug.py is imported by the patch itself"


def test_protected_files(workspace: Workspace) -> None:
    for path in ("pkg/core.py", "README.md", "tests/cases.txt"):
        workspace.write_text(path, FILES[path] + "\n# more\n")
    assert removed(workspace, protected=["*.md"]) == {"README.md": "protected file"}
    assert removed(workspace, protected=["tests/"]) == {"tests/cases.txt": "protected file"}
    assert removed(workspace, protected=["**/core.py"]) == {"pkg/core.py": "protected file"}
    assert removed(workspace, protected=["pkg/*.py", "tests/**"]).keys() == {"pkg/core.py", "tests/cases.txt"}
    assert removed(workspace, protected=["core", "pkg", "*/x.py"]) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEST.replace("    assert 2 == 2\n", ""), "removes assertions of existing tests"),
        (TEST.split("def test_two")[0], "deletes existing tests"),
        (TEST.replace("def test_two", "@pytest.mark.skip\ndef test_two"), "skips existing tests"),
        (TEST.replace("def test_two", "@pytest.mark.xfail\ndef test_two"), "skips existing tests"),
        (None, "deletes existing tests"),
        (TEST.replace("2 == 2", "3 == 3"), None),
        (TEST + "\n\ndef test_three():\n    assert True\n", None),
        (TEST.replace("test_one", "test_uno"), "deletes existing tests"),
    ],
)
def test_weakened_tests(workspace: Workspace, text: str | None, reason: str | None) -> None:
    if text is None:
        workspace.exec("rm tests/test_core.py")
    else:
        workspace.write_text("tests/test_core.py", text)
    assert removed(workspace) == ({"tests/test_core.py": reason} if reason else {})


def test_without_tests(workspace: Workspace) -> None:
    workspace.write_text("pkg/core.py", "def f(x):\n    return x + 2\n")
    workspace.write_text("tests/test_core.py", TEST.replace("2 == 2", "3 == 3"))
    workspace.write_text("tests/test_new.py", "def test_new():\n    assert True\n")
    assert removed(workspace, keep_tests=False) == {
        "tests/test_core.py": "change to an existing test",
        "tests/test_new.py": "new test",
    }


def test_reproductions(workspace: Workspace) -> None:
    paths = ["tests/test_issue.py", "look.py"]
    for path in paths:
        workspace.write_text(path, "def test_new():\n    assert True\n")
    assert removed(workspace) == {}
    assert removed(workspace, reproduction_paths=paths) == {"look.py": "reproduction test"}
    assert removed(workspace, reproduction_paths=paths, keep_tests=False).keys() == set(paths)


def test_faults(workspace: Workspace) -> None:
    workspace.write_text("pkg/core.py", "def f(x):\n    return (x + 2\n")
    workspace.write_text("pkg/data.json", '{"a": }\n')
    workspace.write_text("pkg/broken.py", "def g(:\n")
    faults = clean(workspace).faults
    assert len(faults) == 2
    assert faults[0].startswith("pkg/core.py does not parse: SyntaxError")
    assert faults[1].startswith("pkg/data.json does not parse: JSON")


def test_it_is_judged_on_the_clean_base(workspace: Workspace) -> None:
    workspace.write_text("pkg/core.py", "def f(x):\n    return x + 2\n")
    patch = workspace.diff()
    workspace.write_text("pkg/core.py", "something else\n")
    before = workspace.tree_hash()
    assert clean_patch(workspace, patch).faults == ()
    stale = Patch(patch.text.replace("return x + 1", "return x + 9"))
    assert "does not apply" in clean_patch(workspace, stale).faults[0]
    assert workspace.tree_hash() == before
    with pytest.raises(PatchError):
        _ = Patch("--- a/x\n+++ b/x\n@@ -1 +1 @@\nnonsense\n").files


def test_odd_names(workspace: Workspace) -> None:
    names = ["a b.py", "tmp b/x.py", "ünï.py", "it's.py", "x b/y.py", 'quo"te.py', "tab\there.py"]
    for name in names:
        workspace.write_text(name, "x = 1\n")
    patch = workspace.diff()
    result = clean_patch(workspace, patch)
    assert result.patch == patch
    workspace.sandbox.write_bytes("x b/p.png", b"\0\1" * 50)
    assert removed(workspace) == {"x b/p.png": "binary file"}
    workspace.exec("rm 'x b/p.png'; touch 'e b/e'; mkdir -p 'q b'; : > 'q b/q b'; chmod +x README.md")
    assert removed(workspace) == {}


@settings(max_examples=20)
@given(kept=st.sets(st.sampled_from(["pkg/core.py", "pkg/n.py", "README.md"])),
       junk=st.sets(st.sampled_from(["x.pyc", "repro.py", "a.rej", "tmp/x.txt"])))  # fmt: skip
def test_cleaning_twice_is_cleaning_once(
    kept: set[str], junk: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("twice")
    (folder / "source").mkdir()
    git = ["git", "-C", str(folder / "source"), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "-q", str(folder / "source")], check=True)
    (folder / "source" / "README.md").write_text("# x\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    spec = SandboxSpec(source=folder / "source", scratch=folder / "scratch")
    with Workspace(open_sandbox("plain", spec), head) as workspace:
        for path in kept | junk:
            workspace.write_text(path, f"# {len(path)}\n")
        once = clean(workspace)
        assert {item.path for item in once.removed} == junk
        assert set(once.patch.files) == kept
        twice = clean_patch(workspace, once.patch)
        assert twice.patch == once.patch
        assert twice.removed == ()


def test_test_files() -> None:
    for path in ("tests/x.py", "a/test_b.py", "b_test.go", "src/x.spec.ts", "conftest.py", "spec/a_spec.rb"):
        assert is_test_file(path)
    for path in (
        "python_testcases/node.py",
        "Unit-Tests/helper.py",
        "a/functional_tests/base.py",
        "x.tests/y.py",
    ):
        assert is_test_file(path)
    for path in (
        "src/testing_tools.py",
        "contest.py",
        "latest.py",
        "a/b.py",
        "ab_test/b.py",
        "latests/a.py",
        "",
    ):
        assert not is_test_file(path)


def test_what_runs_elsewhere_is_named() -> None:
    patch = "".join(
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
        for path in (".github/workflows/x.yml", ".gitlab-ci.yml", "src/a.py", ".husky/pre-commit")
    )
    assert automations(patch) == (".github/workflows/x.yml", ".gitlab-ci.yml", ".husky/pre-commit")
