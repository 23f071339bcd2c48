"""What a model may leave in the tree, and what a patch may hold."""

from __future__ import annotations

import time

import pytest

from swe_agent.tools.errors import PatchError
from swe_agent.tools.hygiene import clean_patch
from swe_agent.tools.workspace import MOST_BYTES, MOST_FILES, Workspace

from .conftest import Maker


@pytest.fixture
def workspace(make: Maker) -> Workspace:
    return make("namespace").workspace


def test_many_new_files_cost_no_command_each(workspace: Workspace) -> None:
    workspace.exec("mkdir many && cd many && for i in $(seq 1500); do echo $i > f$i.txt; done")
    started = time.monotonic()
    patch = workspace.diff()
    assert len(patch.files) == 1500
    assert patch.after["many/f7.txt"] == "7\n"
    assert time.monotonic() - started < 10


def test_a_patch_has_a_number_of_files(workspace: Workspace) -> None:
    workspace.exec(f"mkdir many && cd many && for i in $(seq {MOST_FILES + 9}); do : > f$i; done")
    with pytest.raises(PatchError, match=r"2,009 files \(2,009 of them in many/\).*delete"):
        workspace.diff()


def test_a_patch_has_a_size(workspace: Workspace) -> None:
    workspace.exec(f"seq {MOST_BYTES // 6} > pkg/use.py")
    with pytest.raises(PatchError, match="MB, and one may have 4 MiB"):
        workspace.diff()


def test_artefacts_and_large_files_do_not_cost_the_patch(workspace: Workspace) -> None:
    workspace.exec(
        "mkdir -p node_modules/a && cd node_modules/a && for i in $(seq 3000); do echo $i > f$i.js; done;"
        "cd ../..; seq 900000 > data.csv; echo 'x = 1' > pkg/new.py"
    )
    patch = workspace.diff()
    assert patch.files == ("pkg/new.py",)
    hygiene = clean_patch(workspace, patch)
    assert hygiene.patch.text == patch.text
    assert {"data.csv", "node_modules/a/f1.js"} <= {item.path for item in hygiene.removed}


@pytest.mark.parametrize("pipe", [".git/index", ".git/swe-agent-output", "pkg/.gitattributes"])
def test_a_named_pipe_holds_nothing_up(workspace: Workspace, pipe: str) -> None:
    workspace.exec(f"rm -f {pipe}; mkfifo {pipe}; echo 'x = 1' > pkg/new.py")
    started = time.monotonic()
    assert "pkg/new.py" in workspace.diff().files
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "damage",
    ["rm -rf .git", "chmod -R 000 .git", "rm -rf .git/objects", "mv .git .gone", "echo x > .git/HEAD",
     "mkdir .git/swe-agent-tree .git/swe-agent-output", "rm .git/HEAD; ln -s /dev/zero .git/HEAD",
     "printf '\\0' > .git/config", "rm -f .git/index && ln -s /dev/zero .git/index"],
)  # fmt: skip
def test_a_damaged_repository_is_the_models_mistake(workspace: Workspace, damage: str) -> None:
    workspace.exec(damage)
    workspace.exec("echo 'x = 1' > pkg/new.py")
    found, why = None, ""
    try:
        found = clean_patch(workspace, workspace.diff())
    except PatchError as error:
        why = str(error)
    if found is None:
        assert "no diff can be taken" in why
    else:
        assert found.patch.files == ("pkg/new.py",) or found.faults
