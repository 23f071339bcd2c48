"""Patches of files that are not UTF-8, and with characters that only some take for line ends."""

from __future__ import annotations

import pytest

from swe_agent.tools.hygiene import clean_patch
from swe_agent.tools.workspace import Workspace

from .conftest import Maker

ODD = {
    "latin.py": (b"name = 'caf\xe9'", b"name = 'th\xe9'"),
    "latin.txt": (b"ol\xe9", b"al\xe9"),
    "feed.py": (b"TWO = 2", b"TWO = 3"),
    "crlf.txt": (b"two", b"zwei"),
    "no_newline.txt": (b"two", b"zwei"),
    "b\udce4d.txt": (b"", b"new\n"),
}
FEED = b"ONE = 1\n\x0c\nTWO = 2  # \xe2\x80\xa8 \xc2\x85 \x1c\r\n\x0c\nTHREE = 3\n"


def changed(workspace: Workspace, path: str) -> Workspace:
    """A fork with one file of `ODD` changed."""
    old, new = ODD[path]
    fork = workspace.fork()
    data = fork.sandbox.read_bytes(path) if old else b""
    assert old in data
    fork.sandbox.write_bytes(path, data.replace(old, new) if old else new)
    return fork


def committed(make: Maker, path: str, data: bytes) -> Workspace:
    """A workspace whose base commit has one more file."""
    sandbox = make().workspace.sandbox
    sandbox.write_bytes(path, data)
    git = "git -c user.name=t -c user.email=t@localhost"
    done = sandbox.exec(f"git add -A && {git} commit -qm more >/dev/null && git rev-parse HEAD")
    assert done.exit_code == 0, done.output
    return Workspace(sandbox, done.output.strip())


@pytest.fixture
def workspace(make: Maker) -> Workspace:
    return committed(make, "feed.py", FEED)


@pytest.mark.parametrize("path", ODD)
def test_a_patch_brings_the_same_bytes(workspace: Workspace, path: str) -> None:
    with changed(workspace, path) as fork, workspace.fork() as clean:
        patch = fork.diff()
        assert patch.files
        hygiene = clean_patch(fork, patch)
        assert (hygiene.patch.text, hygiene.faults) == (patch.text, ())
        clean.apply(patch)
        assert clean.tree_hash() == fork.tree_hash()
        assert clean.sandbox.read_bytes(path) == fork.sandbox.read_bytes(path)


def test_different_edits_of_such_a_file_are_different(workspace: Workspace) -> None:
    hashes: set[str] = set()
    for word in (b"th\xe9", b"lait"):
        with workspace.fork() as fork:
            fork.sandbox.write_bytes("latin.py", b"# -*- coding: latin-1 -*-\nname = '" + word + b"'\n")
            hashes.add(fork.diff().normalised_hash())
    assert len(hashes) == 2


def test_tests_in_another_encoding_are_not_weakened(make: Maker) -> None:
    head = b"# -*- coding: latin-1 -*-\n# caf\xe9\ndef test_a():\n"
    workspace = committed(make, "tests/test_latin.py", head + b"    assert 1\n    assert 2\n")
    with workspace.fork() as fork:
        fork.sandbox.write_bytes("tests/test_latin.py", head + b"    assert 1\n")
        hygiene = clean_patch(fork, fork.diff())
    assert hygiene.patch.is_empty
    assert "assertions" in hygiene.removed[0].reason


@pytest.mark.parametrize("kind", ["plain", "namespace"])
def test_an_edit_of_equal_size_in_the_second_of_the_checkout_is_seen(make: Maker, kind: str) -> None:
    """Git's index tells times apart by seconds; what is as young as the index itself is compared by its text."""
    workspace = make(kind=kind).workspace
    touch = "touch -d @1700000000"
    for _ in range(5):  # the second of a change of owner or name counts too, and may end in between
        with workspace.fork() as fork:
            fork.exec(f"{touch} pkg/use.py; git update-index -q --refresh; {touch} .git/index")
            text = fork.sandbox.read_bytes("pkg/use.py")
            fork.sandbox.write_bytes("pkg/use.py", text.replace(b"Square(2)", b"Square(3)"))
            fork.exec(f"{touch} pkg/use.py")
            assert fork.diff().files == ("pkg/use.py",)
