"""fileMap: what a file or a directory holds, as signatures without bodies."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from ..errors import ToolError
from ..excerpt import clip_line, excerpt
from .files import Files
from .find import list_files
from .location import locate
from .text_file import TextFile
from .tool import Tool, ToolResult

_MAX_CHARS = 16_000
_MAX_READ = 40
_MAX_NAMED_BYTES = 1 << 20

_OTHER = re.compile(
    r"^(?P<indent>[ \t]*)(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|"
    r"override|unsafe|pub(?:\([a-z]+\))?|extern|inline|virtual|const)[ \t]+)*"
    r"(?:function\*?|func|fn|class|struct|interface|enum|trait|impl|type|module|namespace|def|macro_rules!|"
    r"#[ \t]*define)[ \t(][^\n]*$"
)
_HEADING = re.compile(r"^(#{1,6}[ \t]\S.*|\[{1,2}[^\]\n]+\]{1,2}[ \t]*)$")


@dataclass(frozen=True, slots=True)
class Symbol:
    """One definition. Lines count from 1 and include decorators and body."""

    name: str
    """Qualified within its file: `Class.method`."""
    kind: str
    """class | function | constant."""
    line: int
    end_line: int
    signature: str
    doc: str = ""
    """First line of the docstring."""

    @property
    def depth(self) -> int:
        return self.name.count(".")


def python_symbols(source: str, only: str | None = None) -> list[Symbol]:
    """Classes, functions and module- or class-level names of a Python source, in order; with `only` those
    of that last name. Raises: SyntaxError, ValueError, RecursionError when it does not parse."""
    return list(_walk(ast.parse(source, "<checked source>").body, "", only))


def _walk(body: list[ast.stmt], prefix: str, only: str | None) -> Iterator[Symbol]:
    for node in body:
        if only is not None and getattr(node, "name", only) != only:
            # Spelling a signature costs far more than parsing; skip those that nobody asked for.
            if isinstance(node, ast.ClassDef):
                yield from _walk(node.body, f"{prefix}{node.name}.", only)
            continue
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
                returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
                signature = f"{word} {node.name}({ast.unparse(node.args)}){returns}"
                yield _symbol(node, prefix, "function", signature)
            case ast.ClassDef():
                bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
                yield _symbol(node, prefix, "class", f"class {node.name}{f'({bases})' if bases else ''}")
                yield from _walk(node.body, f"{prefix}{node.name}.", only)
            case ast.Assign() | ast.AnnAssign() if not prefix or isinstance(node, ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                text = clip_line(ast.unparse(node).split("\n")[0], 100)
                for target in targets:
                    if isinstance(target, ast.Name) and only in (None, target.id):
                        yield Symbol(
                            f"{prefix}{target.id}",
                            "constant",
                            node.lineno,
                            node.end_lineno or node.lineno,
                            text,
                        )
            case ast.If() | ast.Try() | ast.With():
                blocks = [node.body, getattr(node, "orelse", []), getattr(node, "finalbody", [])]
                blocks += [handler.body for handler in getattr(node, "handlers", [])]
                for block in blocks:
                    yield from _walk(block, prefix, only)
            case _:
                pass


def _symbol(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, prefix: str, kind: str, signature: str
) -> Symbol:
    marks = [f"@{ast.unparse(mark).split('(')[0]} " for mark in node.decorator_list]
    doc = ast.get_docstring(node) or ""
    first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
    return Symbol(
        f"{prefix}{node.name}",
        kind,
        first,
        node.end_lineno or node.lineno,
        clip_line("".join(marks) + signature, 240),
        clip_line(doc.split("\n", 1)[0], 100),
    )


def outline(path: str, text: str) -> list[str]:
    """Numbered signatures of a source file; for other languages the lines that look like definitions."""
    if path.endswith((".py", ".pyi")):
        try:
            return [
                f"{symbol.line:>6}-{symbol.end_line:<6}{'    ' * symbol.depth}{symbol.signature}"
                + (f"  # {symbol.doc}" if symbol.doc else "")
                for symbol in python_symbols(text)
            ]
        except (SyntaxError, ValueError, RecursionError):
            pass
    pattern = _HEADING if path.endswith((".md", ".toml", ".ini", ".cfg")) else _OTHER
    return [
        f"{number:>6}\t{clip_line(line.rstrip(), 200)}"
        for number, line in enumerate(text.split("\n"), 1)
        if pattern.match(line)
    ]


def outline_tool(files: Files) -> Tool:
    """The fileMap tool over `files`."""
    return Tool(
        "fileMap",
        "Outline a file (classes, functions and constants with their lines, no bodies) or a directory (its "
        "files with the names they define). Cheaper than reading; use it to decide what to read.",
        {
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "File or directory; the root if absent."}
            },
            "required": [],
            "additionalProperties": False,
        },
        lambda arguments: _file_map(files, arguments),
    )


class OutlineArguments(TypedDict):
    path: NotRequired[str]


def _file_map(files: Files, arguments: OutlineArguments) -> ToolResult:
    place = locate(files.sandbox, arguments.get("path") or ".")
    if place.kind == "directory":
        return ToolResult(excerpt(_directory(files, place.real), _MAX_CHARS, head_share=0.8))
    place, data = files.read(place.path)
    file = TextFile.decode(data, place.path)
    lines = outline(place.path, file.text)
    header = f"{place.path} ({len(file.lines):,} lines)"
    if not lines:
        return ToolResult(f"{header}\n[no definitions found; use readFile]")
    return ToolResult(excerpt("\n".join([header, *lines]), _MAX_CHARS, head_share=0.8))


def _directory(files: Files, folder: str) -> str:
    paths = list_files(files, folder, folder)
    if not paths:
        raise ToolError(f"{folder} holds no files (those that git ignores are not counted)")
    base = "" if folder == "." else folder + "/"
    here: list[str] = []
    below: dict[str, int] = {}
    for path in sorted(paths):
        rest = path.removeprefix(base)
        if "/" in rest:
            top = rest.split("/", 1)[0]
            below[top] = below.get(top, 0) + 1
        else:
            here.append(path)
    lines = [f"{folder if folder != '.' else 'the repository'}: {len(paths):,} files"]
    lines += [f"{name}/  ({count:,} files)" for name, count in below.items()]
    for number, path in enumerate(here):
        names = _names(files, path) if number < _MAX_READ and path.endswith(".py") else ""
        lines.append(posixpath.basename(path) + (f"  {names}" if names else ""))
    return "\n".join(lines)


def _names(files: Files, path: str) -> str:
    try:
        data = files.sandbox.read_bytes(path, max_bytes=_MAX_NAMED_BYTES)
        body = ast.parse(TextFile.decode(data, path).text, "<checked source>").body
    except (ToolError, OSError, SyntaxError, ValueError, RecursionError):
        return ""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = dict.fromkeys(node.name for node in body if isinstance(node, kinds))
    return clip_line(", ".join(names), 160)
