"""editFile: exact, unique replacements, all or none, that leave a parsing file parsing."""

from __future__ import annotations

import difflib
import re
from typing import NotRequired, TypedDict

from ..errors import ToolError
from ..workspace import Workspace
from .files import Files
from .syntax import SyntaxFault, show_fault, syntax_fault
from .text_file import TextFile
from .tool import Tool, ToolResult

_NUMBERED = re.compile(r"^ *\d+\t", re.MULTILINE)


def edit_tool(files: Files) -> Tool:
    """The editFile tool over `files`."""
    return Tool(
        "editFile",
        "Replace exact text in a file. Each oldText must occur exactly once in the file as the edits before "
        "it left it (or set replaceAll); include enough surrounding lines to make it unique. White space "
        "counts; leave out the line numbers that readFile shows. All edits are made or none. An edit after "
        "which a Python, JSON or TOML file no longer parses is refused.",
        {
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Path relative to the repository's root."},
                "edits": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {
                            "oldText": {"type": "string", "description": "Text to replace."},
                            "newText": {"type": "string", "description": "Text to put there."},
                            "replaceAll": {"type": "boolean", "description": "Replace every occurrence."},
                        },
                        "required": ["oldText", "newText"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["path", "edits"],
            "additionalProperties": False,
        },
        lambda arguments: _edit_file(files, arguments),
        mutates=True,
    )


class Replacement(TypedDict):
    oldText: str
    newText: str
    replaceAll: NotRequired[bool]


class EditArguments(TypedDict):
    path: str
    edits: list[Replacement]


def _edit_file(files: Files, arguments: EditArguments) -> ToolResult:
    place, before = files.read(arguments["path"])
    files.check_may_write(place)
    old = TextFile.decode(before, place.path)
    new = old
    edits = arguments["edits"]
    for number, edit in enumerate(edits, 1):
        try:
            new = replace_text(new, edit["oldText"], edit["newText"], bool(edit.get("replaceAll")))
        except ToolError as error:
            which = f"edit {number} of {len(edits)}: " if len(edits) > 1 else ""
            raise ToolError(f"{which}{error}\nNothing was changed in {place.path}.") from error
    if new.raw == old.raw:
        raise ToolError(f"the edits leave {place.path} as it is")
    data = new.encode()
    fault = syntax_fault(place.path, data)
    if fault is not None and syntax_fault(place.path, before) is None:
        if not _accepted_by_project(files.workspace, place.path, data):
            raise ToolError(
                f"refused: {place.path} would no longer parse. {show_fault(fault, new.text)}\n"
                "Nothing was changed."
            )
        fault = None
    files.write(place, data, before)
    note = _still_broken(fault, new) if fault is not None else ""
    return ToolResult(f"edited {place.path}\n{show_change(old, new)}{note}")


def replace_text(file: TextFile, old: str, new: str, replace_all: bool = False) -> TextFile:
    """`file` with `old` replaced by `new`; line ends, encoding and all other bytes stay.

    Raises: ToolError when `old` is empty, does not occur (with the closest lines) or, without
    `replace_all`, occurs more than once (with the line numbers).
    """
    old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if not old:
        raise ToolError("oldText is empty; give the text to replace, or use writeFile for a new file")
    if old == new:
        raise ToolError("oldText and newText are the same")
    text = file.text
    starts = _occurrences(text, old)
    if not starts and old.endswith("\n") and not text.endswith("\n") and text.endswith(old[:-1]):
        # The last line has no newline in the file; keep it so.
        return file.splice([(len(text) - len(old) + 1, len(text))], new.removesuffix("\n"))
    if not starts:
        raise ToolError(_not_found(text, old))
    if len(starts) > 1 and not replace_all:
        lines = [str(text.count("\n", 0, start) + 1) for start in starts[:20]]
        more = f" and {len(starts) - 20} more" if len(starts) > 20 else ""
        raise ToolError(
            f"oldText occurs {len(starts)} times, at lines {', '.join(lines)}{more}; add surrounding lines "
            "until it is unique, or set replaceAll"
        )
    return file.splice([(start, start + len(old)) for start in starts], new)


def _occurrences(text: str, part: str) -> list[int]:
    starts: list[int] = []
    start = text.find(part)
    while start >= 0:
        starts.append(start)
        start = text.find(part, start + len(part))
    return starts


def _accepted_by_project(workspace: Workspace, path: str, data: bytes) -> bool:
    """Whether the project's own interpreter, which may know newer or older syntax, parses the source."""
    if not path.endswith((".py", ".pyi")):
        return False
    code = "import ast, sys; ast.parse(getattr(sys.stdin, 'buffer', sys.stdin).read())"
    done = workspace.sandbox.exec(["python", "-S", "-c", code], stdin=data, timeout=30, env=workspace.env)
    return done.exit_code == 0


def _still_broken(fault: SyntaxFault, file: TextFile) -> str:
    return f"\nnote: the file did not parse before and still does not. {show_fault(fault, file.text)}"


def show_change(old: TextFile, new: TextFile, *, around: int = 2, max_lines: int = 60) -> str:
    """The changed lines as the file now has them, numbered, with a few lines about them."""
    spans = _changed_spans(old.lines, new.lines)
    lines = new.lines
    shown: list[str] = []
    last = 0
    for start, end in spans:
        first = max(last, start - around)
        if shown and first > last:
            shown.append("   ...")
        last = min(len(lines), end + around)
        shown += [f"{number + 1:>6}\t{lines[number]}" for number in range(first, last)]
    if len(shown) > max_lines:
        half = max_lines // 2
        shown = [*shown[:half], f"   ... {len(shown) - max_lines} lines ...", *shown[-half:]]
    return "\n".join(shown).encode("utf-8", "replace").decode("utf-8")


def _changed_spans(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """Ranges of `new` that differ from `old`; one range when too much differs to compare line by line."""
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    before, after = old[head : len(old) - tail], new[head : len(new) - tail]
    if max(len(before), len(after)) > 600:
        return [(head, len(new) - tail)]
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [(head + a, head + b) for tag, _, _, a, b in matcher.get_opcodes() if tag != "equal"]


def _not_found(text: str, old: str) -> str:
    """What to do about an `old` that is not in `text`."""
    if _NUMBERED.match(old):
        bare = _NUMBERED.sub("", old)
        if bare in text:
            return "oldText does not occur: it holds the line numbers that readFile shows; leave them out"
    if "\\n" in old and old.replace("\\n", "\n").replace('\\"', '"') in text:
        return "oldText does not occur: it holds \\n as two characters; send real line feeds"
    lines, wanted = text.split("\n"), old.strip("\n").split("\n")
    start, ratio = _closest(lines, wanted)
    if ratio < 0.5:
        return "oldText does not occur in the file, nor anything close to it; read the file again"
    found = lines[start : start + len(wanted)]
    shown = "\n".join(f"{start + n + 1:>6}\t{line}" for n, line in enumerate(found[:30]))
    return f"oldText does not occur. {_difference(found, wanted, start)}\nThe closest lines:\n{shown}"


def _closest(lines: list[str], wanted: list[str]) -> tuple[int, float]:
    """Start (from 0) and likeness of the window of `lines` most like `wanted`."""
    places: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        places.setdefault(line.strip(), []).append(number)
    votes: dict[int, float] = {}
    for offset, line in enumerate(wanted):
        hits = places.get(line.strip(), ()) if line.strip() else ()
        for number in hits[:200]:
            votes[number - offset] = votes.get(number - offset, 0) + 1 / len(hits)
    if not votes:
        longest = max(range(len(wanted)), key=lambda n: len(wanted[n].strip()))
        names = [name[:200] for name in places if name][:8000]
        for name in difflib.get_close_matches(wanted[longest].strip()[:200], names, 5, 0.5):
            votes.update({number - longest: 1.0 for number in places.get(name, ())[:20]})
    best, best_ratio = 0, 0.0
    # Likeness is quadratic in length: a long block is judged by its beginning.
    block = [line.strip()[:400] for line in wanted[:40]]
    for start in sorted(votes, key=lambda at: (-votes[at], at))[:20]:
        at = min(max(start, 0), max(0, len(lines) - 1))
        window = [line.strip()[:400] for line in lines[at : at + len(block)]]
        here, there = "\n".join(window)[:3000], "\n".join(block)[:3000]
        matcher = difflib.SequenceMatcher(None, here, there, autojunk=False)
        ratio = matcher.ratio() if matcher.quick_ratio() > best_ratio else 0.0
        if ratio > best_ratio:
            best, best_ratio = at, ratio
    return best, best_ratio


def _difference(found: list[str], wanted: list[str], start: int) -> str:
    """The first line that differs, in words."""
    for number, (have, want) in enumerate(zip(found, wanted, strict=False), start + 1):
        if have == want:
            continue
        if have.split() == want.split():
            both = f"{_white(have)} in the file, {_white(want)} in oldText"
            return f"Line {number} differs in white space only: {both}."
        both = f"the file has {have.strip()[:160]!r}, oldText has {want.strip()[:160]!r}"
        return f"Line {number} differs: {both}."
    if len(found) < len(wanted):
        return "The file ends before oldText does."
    return "The lines agree, but not how oldText begins or ends (blank lines, white space)."


def _white(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    tabs, spaces = indent.count("\t"), indent.count(" ")
    words = [f"{tabs} tab{'s' * (tabs != 1)}"] if tabs else []
    words += [f"{spaces} space{'s' * (spaces != 1)}"] if spaces or not tabs else []
    trailing = ", white space at its end" if line != line.rstrip() else ""
    return f"an indent of {' and '.join(words)}{trailing}"
