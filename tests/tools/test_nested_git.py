"""Git repositories that a model makes in the tree do not cost the patch."""

from __future__ import annotations

import pytest

from .conftest import Maker


@pytest.mark.parametrize(
    ("command", "left_out"),
    [
        ("git init -q scratch && echo 1 > scratch/a.py", ("scratch",)),
        ("git init -q 'a b/é' && echo 1 > 'a b/é/x'", ("a b/é",)),
        ("git clone -q . deep/clone", ("deep/clone",)),
        ("git worktree add -q tree HEAD", ("tree",)),
        (
            "git init -q lib && cd lib && git -c user.name=t -c user.email=t@localhost commit -q --allow-empty -m x"
            " && cd .. && git add -A 2>/dev/null",
            ("lib",),
        ),
        ("mkdir -p dark && echo 1 > dark/x && chmod 000 dark", ()),
    ],
)
def test_the_patch_is_taken_and_what_is_left_out_is_said(
    make: Maker, command: str, left_out: tuple[str, ...]
) -> None:
    bench = make("plain")
    workspace = bench.workspace
    assert workspace.exec(command).exit_code == 0
    workspace.write_text("new.txt", "kept\n")
    patch = workspace.diff()
    assert "new.txt" in patch.files
    assert workspace.left_out == left_out
    assert "Subproject" not in patch.text
    assert [name for name in patch.files if name.startswith(left_out)] == [] or not left_out
    assert len(workspace.tree_hash()) == 40
    shown = bench.toolbox.call("diff", {}).text
    assert all(name in shown for name in left_out)
