from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.errors import ToolError
from swe_agent.tools.toolbox.edit import replace_text, show_change
from swe_agent.tools.toolbox.text_file import TextFile


def edit(old: str, new: str, **more: bool) -> list[dict[str, object]]:
    return [{"oldText": old, "newText": new, **more}]


def test_one_edit_shows_the_lines_as_they_are_now(tools) -> None:
    text = tools.ok(
        "editFile", path="pkg/shapes.py", edits=edit("self.side * 2 * scale", "self.side**2 * scale")
    )
    assert "    13\t        return self.side**2 * scale" in text
    patch = tools("diff").data["patch"]
    assert (patch.files, patch.added, patch.removed) == (("pkg/shapes.py",), 1, 1)


def test_several_edits_are_all_made_or_none(tools) -> None:
    both = [*edit("SIDES = 4", "SIDES = 5"), *edit("SIDES = 5", "SIDES = 6")]
    tools.ok("editFile", path="pkg/shapes.py", edits=both)
    assert b"SIDES = 6" in tools.bytes("pkg/shapes.py")
    before = tools.bytes("pkg/shapes.py")
    text = tools.refused(
        "editFile", path="pkg/shapes.py", edits=[*edit("SIDES = 6", "SIDES = 7"), *edit("zzz", "y")]
    )
    assert "edit 2 of 2" in text
    assert "Nothing was changed" in text
    assert tools.bytes("pkg/shapes.py") == before


def test_several_matches_are_listed(tools) -> None:
    text = tools.refused("editFile", path="pkg/shapes.py", edits=edit("area", "surface"))
    assert "occurs 3 times, at lines 12, 16, 17" in text
    tools.ok("editFile", path="pkg/shapes.py", edits=edit("area", "surface", replaceAll=True))
    assert tools.bytes("pkg/shapes.py").count(b"surface") == 3


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("  def area(self, scale: int = 1) -> float:\n  return self.side * 2 * scale", "white space only"),
        ("\tdef area(self, scale: int = 1) -> float:", "white space only: an indent of 4 spaces in the file, an "
                                                         "indent of 1 tab in oldText"),
        ("    def area(self, scale: int = 2) -> float:", "Line 12 differs"),
        ("    12\t    def area(self, scale: int = 1) -> float:", "line numbers"),
        ("SIDES = 4\\n\\n\\nclass Square:", "real line feeds"),
        ("completely unrelated wording of some other file", "nor anything close"),
        ("", "oldText is empty"),
    ],
)  # fmt: skip
def test_what_does_not_match_is_explained(tools, old: str, words: str) -> None:
    assert words in tools.refused("editFile", path="pkg/shapes.py", edits=edit(old, "x"))


def test_edits_without_effect(tools) -> None:
    assert "are the same" in tools.refused("editFile", path="pkg/use.py", edits=edit("print", "print"))
    back_and_forth = [*edit("print", "show"), *edit("show", "print")]
    assert "as it is" in tools.refused("editFile", path="pkg/use.py", edits=back_and_forth)


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        ("pkg/shapes.py", "return shape.area()", "return shape.area(", "at line 17"),
        ("pkg/shapes.py", "    return shape.area()", "return shape.area()", "IndentationError"),
        ("config.json", '"a": 1,', '"a": 1', "JSON"),
        ("setup.toml", '"c"', "c", "TOML"),
    ],
)
def test_an_edit_that_no_longer_parses_is_refused_with_its_context(
    tools, path: str, old: str, new: str, words: str
) -> None:
    before = tools.bytes(path)
    text = tools.refused("editFile", path=path, edits=edit(old, new))
    assert "would no longer parse" in text
    assert words in text
    assert "\n>" in text
    assert tools.bytes(path) == before


def test_a_file_that_never_parsed_can_be_edited_and_mended(tools) -> None:
    assert "still does not" in tools.ok("editFile", path="broken.py", edits=edit("pass", "return 1"))
    assert "note" not in tools.ok("editFile", path="broken.py", edits=edit("f(:", "f():"))


def test_syntax_that_only_the_project_knows(tools) -> None:
    """The host's parser is not the judge where the project's own interpreter reads newer syntax."""
    tools.ok(
        "shell", command="mkdir -p bin && printf '#!/bin/sh\\nexit 0\\n' > bin/python && chmod +x bin/python"
    )
    root = tools.workspace.root
    tools.workspace.env["PATH"] = f"{root}/bin:/usr/bin:/bin"
    tools.ok("editFile", path="pkg/shapes.py", edits=edit("SIDES = 4", "SIDES := 4 of the future"))


def test_line_ends_marks_and_encodings_survive(tools) -> None:
    tools.ok("editFile", path="crlf.txt", edits=edit("one\ntwo\n", "1\n2\n2b\n"))
    assert tools.bytes("crlf.txt") == b"1\r\n2\r\n2b\r\nthree\r\n"
    tools.ok("editFile", path="bom.py", edits=edit("x = 1", "x = 2"))
    assert tools.bytes("bom.py") == b"\xef\xbb\xbfx = 2\n"
    tools.ok("editFile", path="latin.py", edits=edit("'café'", "'thé'"))
    assert tools.bytes("latin.py") == b"# -*- coding: latin-1 -*-\nname = 'th\xe9'\n"
    assert "no character" in tools.refused("editFile", path="latin.py", edits=edit("'thé'", "'→'"))
    tools.ok("editFile", path="no_newline.txt", edits=edit("two\n", "2\n"))
    assert tools.bytes("no_newline.txt") == b"one\n2"
    tools.ok("shell", command="printf 'a\\r\\nb\\nc\\r\\n' > mixed.txt")
    tools.ok("editFile", path="mixed.txt", edits=edit("b", "B\nB2"))
    assert tools.bytes("mixed.txt") == b"a\r\nB\r\nB2\nc\r\n"


def test_editing_through_a_link_changes_its_target(tools) -> None:
    tools.ok("editFile", path="link.txt", edits=edit("# Guide", "# Handbook"))
    assert tools.bytes("docs/guide.md").startswith(b"# Handbook")
    assert tools.ok("shell", command="readlink link.txt").endswith("docs/guide.md")


@pytest.mark.parametrize("path", ["nothing.py", "picture.png", "pkg", "out/passwd"])
def test_what_cannot_be_edited(tools, path: str) -> None:
    tools.refused("editFile", path=path, edits=edit("a", "b"))


_LINES = st.lists(st.sampled_from(["a", "b", "  c", "", "d d"]), max_size=12).map("\n".join)


@given(_LINES, _LINES, _LINES, st.booleans())
def test_replacing_is_the_obvious_thing(text: str, old: str, new: str, every: bool) -> None:
    """Exactly `str.replace` where the match is unique (or all are wanted), an explained refusal elsewhere."""
    count = text.count(old) if old else 0
    at_the_end = not count and old.endswith("\n") and not text.endswith("\n") and text.endswith(old[:-1])
    if not old or old == new or (not count and not at_the_end) or (count > 1 and not every):
        with pytest.raises(ToolError):
            replace_text(TextFile(text), old, new, every)
    elif count:
        assert replace_text(TextFile(text), old, new, every).text == text.replace(old, new)
    else:
        changed = replace_text(TextFile(text), old, new, every).text
        assert changed == text.removesuffix(old[:-1]) + new.removesuffix("\n")


def test_a_hundred_thousand_replacements_are_quick() -> None:
    text = "ab\r\n" * 100_000
    assert replace_text(TextFile(text), "b", "c", True).raw == "ac\r\n" * 100_000


def test_large_files_are_answered_soon() -> None:
    """The search for the closest lines and the view of a change are bounded, whatever the sizes."""
    lines = [
        f"{'  ' * (n % 7)}value_{n * 7919 % 10007} = compute({n * 104729 % 1009})" for n in range(40_000)
    ]
    text = "\n".join(lines)
    started = time.process_time()
    for old in (
        text[1000:60_000].replace("value", "valve"),
        "x" * 100_000,
        "def f():\n" * 500,
        "value_x = compute(1)",
    ):
        with pytest.raises(ToolError):
            replace_text(TextFile(text), old, "y")
    show_change(TextFile("\n" * 5000), TextFile("a\n" + "\n" * 4000 + "b\n"))
    show_change(TextFile(text), TextFile(text.replace("compute", "evaluate")))
    assert time.process_time() - started < 20
