from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.errors import ToolError
from swe_agent.tools.toolbox.files import MAX_FILE_BYTES
from swe_agent.tools.toolbox.text_file import TextFile


def test_lines_are_numbered_and_windowed(tools) -> None:
    text = tools.ok("readFile", path="pkg/shapes.py")
    assert text.startswith("pkg/shapes.py (17 lines)\n     1\t")
    assert "    12\t    def area(self, scale: int = 1) -> float:" in text
    part = tools.ok("readFile", path="pkg/shapes.py", startLine=3, endLine=4)
    assert part.split("\n") == ["pkg/shapes.py (17 lines), lines 3-4", "     3\tSIDES = 4", "     4\t",
                                "[13 more lines: startLine=5]"]  # fmt: skip


def test_a_long_file_is_shown_in_parts(tools) -> None:
    tools.ok("writeFile", path="long.txt", content="".join(f"line {n}\n" for n in range(1, 1001)))
    first = tools.ok("readFile", path="long.txt")
    assert "\n   400\tline 400\n" in first
    assert "[600 more lines: startLine=401]" in first
    assert "line 1000" in tools.ok("readFile", path="long.txt", startLine=401, endLine=1000)
    tools.ok("writeFile", path="wide.txt", content="x" * 500_000 + "\n" + "y\n" * 5)
    wide = tools.ok("readFile", path="wide.txt")
    assert len(wide) < 40_000
    assert "[+499,000 characters]" in wide


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing.py", "does not exist"),
        ("pkg/nothing/else.py", "does not exist"),
        ("pkg", "is a directory"),
        (".", "is a directory"),
        ("../outside.txt", "outside the workspace"),
        ("/etc/passwd", "outside the workspace"),
        ("out/passwd", "leads outside"),
        ("out", "leads outside"),
        ("dangling", "does not exist"),
        (".git/config", "belongs to git"),
        ("pkg/../.git/HEAD", "belongs to git"),
        (".GIT/config", "belongs to git"),
        ("pkg/shapes.py/x", "is a file"),
        ("picture.png", "binary"),
        ("", "empty"),
        ("x\0y", "NUL"),
        ("a" * 5000, ""),
        ("log:nothing", "no log"),
        ("log:../x", "no log"),
    ],
)
def test_what_cannot_be_read_is_said(tools, path: str, words: str) -> None:
    assert words in tools.refused("readFile", path=path)


def test_links_inside_absolute_paths_and_odd_names(tools) -> None:
    assert "# Guide" in tools.ok("readFile", path="link.txt")
    assert "# Guide" in tools.ok("readFile", path=f"{tools.workspace.root}/docs/guide.md")
    assert "hello" in tools.ok("readFile", path="a b/with space.txt")
    assert "the file is empty" in tools.ok("readFile", path="empty.txt")
    for path in ("-rf", "$(touch x)", "a\nb", "'", "*", "ünï"):
        tools.ok("writeFile", path=path, content="ok\n")
        assert "ok" in tools.ok("readFile", path=path)


def test_special_and_huge_files(tools) -> None:
    tools.ok("shell", command=f"mkfifo pipe; head -c {MAX_FILE_BYTES + 1} /dev/zero > huge")
    assert "not a regular file" in tools.refused("readFile", path="pipe")
    assert "too large" in tools.refused("readFile", path="huge")
    assert "not a regular file" in tools.refused("writeFile", path="pipe", content="x")


def test_windows_outside_the_file(tools) -> None:
    assert "past its end" in tools.refused("readFile", path="pkg/shapes.py", startLine=18)
    assert "before startLine" in tools.refused("readFile", path="pkg/shapes.py", startLine=5, endLine=4)
    assert "must be at least 1" in tools.refused("readFile", path="pkg/shapes.py", startLine=0)


def test_encodings_are_named_and_shown(tools) -> None:
    assert "café" in tools.ok("readFile", path="latin.py")
    assert "café olé" in tools.ok("readFile", path="latin.txt")
    assert "byte order mark" in tools.ok("readFile", path="bom.py")
    assert "CRLF" in tools.ok("readFile", path="crlf.txt")
    assert "no newline at the end" in tools.ok("readFile", path="no_newline.txt")


def test_writing_creates_folders_and_keeps_modes_and_line_ends(tools) -> None:
    assert "created" in tools.ok("writeFile", path="new/deep/file.txt", content="x\n")
    assert "replaced" in tools.ok("writeFile", path="run.sh", content="#!/bin/sh\necho ho\n")
    assert tools.ok("shell", command="./run.sh").endswith("ho")
    tools.ok("writeFile", path="crlf.txt", content="a\nb\n")
    assert tools.bytes("crlf.txt") == b"a\r\nb\r\n"
    tools.ok("writeFile", path="bom.py", content="y = 2\n")
    assert tools.bytes("bom.py") == b"\xef\xbb\xbfy = 2\n"


def test_writing_where_one_may_not(tools) -> None:
    for path in ("pkg", "out/x", "../x", "/tmp/x", ".git/hooks/pre-commit", "pkg/use.py/x"):
        tools.refused("writeFile", path=path, content="x")
    assert "binary" in tools.refused("writeFile", path="picture.png", content="x")
    assert "no character" in tools.refused("writeFile", path="latin.txt", content="→")


def test_a_new_file_that_does_not_parse_is_written_with_a_warning(tools) -> None:
    assert "does not parse" in tools.ok("writeFile", path="tests/bad.py", content="def f(:\n")
    text = tools.refused("writeFile", path="pkg/use.py", content="print(\n")
    assert "would no longer parse" in text
    assert tools.bytes("pkg/use.py").startswith(b"from pkg")


def test_undo_step_by_step(tools) -> None:
    assert "no edit" in tools.refused("undo")
    before = tools.bytes("crlf.txt")
    tools.ok("writeFile", path="new.txt", content="1\n")
    tools.ok("writeFile", path="new.txt", content="2\n")
    tools.ok("editFile", path="crlf.txt", edits=[{"oldText": "two", "newText": "2"}])
    tools.ok("undo")
    assert tools.bytes("crlf.txt") == before
    tools.ok("undo")
    assert tools.bytes("new.txt") == b"1\n"
    assert "removed new.txt" in tools.ok("undo")
    assert "does not exist" in tools.refused("readFile", path="new.txt")
    assert "no change" in tools.ok("diff")


def test_undo_does_not_lose_what_a_command_did(tools) -> None:
    tools.ok("writeFile", path="new.txt", content="1\n")
    tools.ok("shell", command="echo 2 >> new.txt")
    assert "changed by a command" in tools.refused("undo")
    assert tools.bytes("new.txt") == b"1\n2\n"


def test_only_what_the_role_may_write(make) -> None:
    bench = make(may_write=lambda path: path.startswith("tests/"))
    bench.ok("writeFile", path="tests/test_new.py", content="x = 1\n")
    assert "may not write" in bench.refused("writeFile", path="pkg/new.py", content="x = 1\n")
    edits = [{"oldText": "SIDES", "newText": "S"}]
    assert "may not write" in bench.refused("editFile", path="pkg/shapes.py", edits=edits)
    bench.workspace.exec("ln -s ../pkg/shapes.py tests/link.py")
    assert "may not write" in bench.refused("writeFile", path="tests/link.py", content="x = 1\n")


_TEXTS = st.text(alphabet=st.sampled_from("ab é→\n\r\t\0\ufeff\u2028\x0c"), max_size=60)
_BYTES = st.one_of(
    st.binary(max_size=60),
    _TEXTS.map(lambda t: t.encode()),
    _TEXTS.map(lambda t: t.encode("utf-16")),
    _TEXTS.map(lambda t: b"# coding: latin-1\n" + t.encode("latin-1", "ignore")),
)


@given(_BYTES, st.sampled_from(["x.py", "x.txt"]))
def test_decoding_loses_nothing(data: bytes, path: str) -> None:
    try:
        file = TextFile.decode(data, path)
    except ToolError:
        return
    assert file.encode() == data


@given(_BYTES | st.just(b"\r\r\n"), st.data())
def test_a_splice_changes_what_it_is_told_and_nothing_else(data: bytes, draw: st.DataObject) -> None:
    try:
        file = TextFile.decode(data)
    except ToolError:
        return
    text = file.text
    start = draw.draw(st.integers(0, len(text)))
    end = draw.draw(st.integers(start, len(text)))
    new = draw.draw(st.text(alphabet="ab\n", max_size=6))
    changed = file.splice([(start, end)], new)
    joined = text[:start] + new + text[end:]
    # A lone \r before a new line is a line's end where lines end in \n, and stays alone where they end in \r\n.
    assert changed.text in (joined, joined.replace("\r\n", "\n"))
    same = file.splice([(start, end)], text[start:end])
    if "\r" not in text and not file.mixed:
        assert same.encode() == data
    head = file.raw[: len(file.splice([(start, len(text))], "").raw)]
    assert changed.raw.startswith(head)
