"""search: text, regular expressions and symbols in the repository."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from ..errors import ToolError
from ..excerpt import clip_line
from .files import MAX_FILE_BYTES, Files
from .find import directory
from .outline import Symbol, python_symbols
from .text_file import TextFile
from .tool import Tool, ToolResult

SHOWN = 60
PER_FILE = 8
_MAX_BYTES = 400_000
_MAX_PARSED = 40

# A line that defines {name}: Python first, then the keywords of other languages.
_DEFINITION = (
    r"^( {0,4}|\t){name}([ \t]*:[^=]*)?[ \t]+=[ \t]|^[ \t]*((async[ \t]+)?(def|class)[ \t]+{name}\b"
    r"|((export|default|public|private|protected|internal|static|final|abstract|async|override|unsafe|"
    r"pub(\([a-z]+\))?)[ \t]+)*(function\*?|func([ \t]*\([^)]*\))?|fn|class|struct|interface|enum|trait|type|"
    r"module|namespace|const|let|var|macro_rules!|#[ \t]*define)[ \t]+{name}\b)"
)
_PROSE = (".md", ".rst", ".txt", ".lock", ".svg", ".po", ".html")

# ripgrep where there is one, else git's grep: both skip what git ignores. The exit status follows the
# matches after a NUL; `head` bounds what a careless pattern can return.
_SCRIPT = r"""
mode=$1 pattern=$2 folder=$3 glob=$4 limit=$5
set --
case $mode in *F*) set -- -F ;; esac
case $mode in *i*) set -- "$@" -i ;; esac
case $mode in *w*) set -- "$@" -w ;; esac
if command -v rg >/dev/null 2>&1; then
  [ -n "$glob" ] && set -- "$@" -g "$glob"
  { rg --no-config --no-messages --hidden -g '!.git' --sort path -0 -n --no-heading --color never \
      -m 200 --max-filesize 4M "$@" -e "$pattern" -- "$folder"; printf '\0status=%s' $?; } | head -c "$limit"
else
  spec=":(literal)$folder"; [ "$folder" = . ] && spec=.
  if [ -n "$glob" ]; then
    case $glob in */*) ;; *) glob="**/$glob" ;; esac
    spec=":(glob)$glob"; [ "$folder" = . ] || spec=":(glob)$folder/$glob"
  fi
  look() { git -c core.quotepath=off -c core.fsmonitor=false grep --untracked --no-color -I -z -n "$@"; }
  {
    case $mode in
      *F*) look "$@" -e "$pattern" -- "$spec" ;;
      *) look -P "$@" -e "$pattern" -- "$spec" 2>/dev/null ||
          { [ $? -gt 1 ] && look -E "$@" -e "$pattern" -- "$spec"; } ;;
    esac
    printf '\0status=%s' $?
  } | head -c "$limit"
fi
"""
_ASIDE = re.compile(r"(^|/)(tests?|testing|docs?|examples?|bench\w*|vendor)/|(^|/)test_|_test\.")
_LINE = re.compile(r"(?:\./)?([^\0\n]+)\0(\d+)[:\0](.*)")


@dataclass(frozen=True, slots=True)
class Match:
    """One matching line. `line` counts from 1."""

    path: str
    line: int
    text: str


def search_tool(files: Files) -> Tool:
    """The search tool over `files`."""
    return Tool(
        "search",
        "Search the repository's files (those that git ignores are left out). mode `text` (default) finds "
        "a literal string, `regex` a regular expression, `symbol` a class, function, method or constant by "
        "name (`Class.method` too): its definitions first, then its uses. Results are capped; narrow with "
        "path or glob.",
        {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for; one line."},
                "mode": {"type": "string", "enum": ["text", "regex", "symbol"]},
                "path": {"type": "string", "description": "Directory or file to search; all if absent."},
                "glob": {"type": "string", "description": "Only files matching this, for example `*.py`."},
                "ignoreCase": {"type": "boolean"},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        lambda arguments: _search(files, arguments),
    )


class SearchArguments(TypedDict):
    query: str
    mode: NotRequired[str]
    path: NotRequired[str]
    glob: NotRequired[str]
    ignoreCase: NotRequired[bool]


def _search(files: Files, arguments: SearchArguments) -> ToolResult:
    query = arguments["query"].strip("\n")
    if not query.strip():
        raise ToolError("query is empty")
    if len(query) > 2000 or len(arguments.get("glob") or "") > 1000 or "\0" in query:
        raise ToolError("query or glob is too long (or holds a NUL); search for a shorter part")
    if "\n" in query:
        raise ToolError("query spans several lines; search for one line of it")
    folder = directory(files, arguments.get("path"))
    glob = arguments.get("glob") or ""
    if arguments.get("mode") == "symbol":
        return ToolResult(_symbols(files, query, folder, glob))
    mode = "" if arguments.get("mode") == "regex" else "F"
    fold = "i" if arguments.get("ignoreCase") else ""
    matches = grep(files, mode + fold, query, folder, glob)
    note = ""
    if not matches and not fold:
        matches = grep(files, mode + "i", query, folder, glob)
        note = " (ignoring case)" if matches else ""
    if not matches:
        hint = (
            "; mode regex would read it as a pattern" if mode and re.search(r"[\\.*+|^$\[(]", query) else ""
        )
        return ToolResult(f"no match for {clip_line(query, 120)!r}{_where(folder, glob)}{hint}")
    ranked = _ranked(matches, query if mode else None)
    return ToolResult(f"{_count(matches)}{_where(folder, glob)}{note}\n{_show(ranked, SHOWN)}")


def grep(files: Files, mode: str, pattern: str, folder: str, glob: str = "") -> list[Match]:
    """Matching lines by path and line. `mode` holds F (literal), i (any case), w (whole words).
    Raises: ToolError with the searcher's own words when the pattern is malformed."""
    done = files.sandbox.exec(
        ["sh", "-c", _SCRIPT, "sh", mode, pattern, f"./{folder}" if folder.startswith("-") else folder, glob,
         str(_MAX_BYTES)],
        timeout=60,
    )  # fmt: skip
    if done.timed_out:
        raise ToolError("the search took too long; narrow it with path or glob")
    found, _, status = done.output.rpartition("\0status=")
    matches = [
        Match(match[1], int(match[2]), match[3])
        for match in map(_LINE.fullmatch, (found or status).split("\n"))
        if match
    ]
    if not matches and status.isdecimal() and int(status) > 1:
        words = " ".join(line.strip() for line in found.split("\n") if line.strip(" ^"))
        raise ToolError(f"the pattern cannot be searched for: {words[:300]}")
    return matches


def _symbols(files: Files, query: str, folder: str, glob: str) -> str:
    name = query.removesuffix("()").split(".")[-1].split("::")[-1].strip()
    if not re.fullmatch(r"\w[\w$]*", name):
        raise ToolError(f"{query!r} is not a name; use mode text or regex")
    lines = grep(files, "", _DEFINITION.replace("{name}", re.escape(name)), folder, glob)
    definitions = _definitions(files, lines, query.removesuffix("()"))
    known = {(path, symbol.line) for path, symbol in definitions}
    inside = {
        (match.path, match.line) for match in lines if any(path == match.path for path, _ in definitions)
    }
    others = [
        match
        for match in grep(files, "Fw", name, folder, glob)
        if (match.path, match.line) not in known and (match.path, match.line) not in inside
    ]
    if not definitions and not others:
        return f"no definition or use of {query}{_where(folder, glob)}"
    parts: list[str] = []
    if definitions:
        parts.append(f"{len(definitions)} definition{'s' * (len(definitions) != 1)} of {query}")
        for path, symbol in definitions[:20]:
            doc = f"  # {symbol.doc}" if symbol.doc else ""
            parts.append(f"{path}:{symbol.line}-{symbol.end_line}: [{symbol.name}] {symbol.signature}{doc}")
    else:
        parts.append(f"no definition of {query} found")
    if others:
        parts.append(f"{_count(others)} elsewhere\n{_show(_ranked(others, name), 30)}")
    return "\n".join(parts)


def _definitions(files: Files, lines: Sequence[Match], query: str) -> list[tuple[str, Symbol]]:
    """Definitions on `lines`, through the syntax tree where the file is Python that parses."""
    by_path: dict[str, list[Match]] = {}
    for match in lines:
        if not match.path.endswith(_PROSE):
            by_path.setdefault(match.path, []).append(match)
    found: list[tuple[str, Symbol]] = []
    name = query.split(".")[-1]
    for number, path in enumerate(sorted(by_path, key=_file_rank)):
        symbols = (
            _parsed(files, path, name) if path.endswith((".py", ".pyi")) and number < _MAX_PARSED else None
        )
        if symbols is None and "." in query:
            continue
        if symbols is None:
            for match in by_path[path]:
                text = clip_line(match.text.strip(), 200)
                found.append((path, Symbol(name, "line", match.line, match.line, text)))
        else:
            found += [(path, symbol) for symbol in symbols if _names(symbol.name, query, path)]

    def rank(item: tuple[str, Symbol]) -> tuple[bool, bool, int, str]:
        path, symbol = item
        return (_file_rank(path)[0], symbol.kind == "constant", symbol.depth, path)

    return sorted(found, key=rank)


def _names(name: str, query: str, path: str) -> bool:
    """Whether `query` is `name` or its end, or `name` with the module at `path` before it."""
    if name == query or name.endswith("." + query):
        return True
    module = "." + path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")
    return query.endswith("." + name) and module.endswith("." + query[: -len(name) - 1])


def _parsed(files: Files, path: str, name: str) -> list[Symbol] | None:
    try:
        data = files.sandbox.read_bytes(path, max_bytes=MAX_FILE_BYTES)
        return python_symbols(TextFile.decode(data, path).text, only=name)
    except (ToolError, OSError, SyntaxError, ValueError, RecursionError):
        return None


def _file_rank(path: str) -> tuple[bool, int, str]:
    """Sources before tests and documents, shallow before deep."""
    lower = path.lower()
    aside = bool(
        re.search(r"(^|/)(tests?|testing|docs?|examples?|bench\w*|vendor)/|(^|/)test_|_test\.", lower)
    )
    aside |= lower.endswith(_PROSE)
    return (aside, path.count("/"), path)


def _ranked(matches: Sequence[Match], name: str | None) -> list[tuple[str, list[Match]]]:
    """Files with their matches; files that define the name first, then by kind and number of matches."""
    by_path: dict[str, list[Match]] = {}
    for match in matches:
        by_path.setdefault(match.path, []).append(match)
    word = re.compile(rf"\b{re.escape(name)}\b") if name and re.fullmatch(r"\w+", name) else None
    defines = re.compile(_DEFINITION.replace("{name}", re.escape(name))) if word and name else None

    def rank(path: str) -> tuple[bool, bool, bool, int, str]:
        lines = by_path[path]
        no_definition = not (defines and any(defines.match(match.text) for match in lines))
        no_word = not (word and any(word.search(match.text) for match in lines))
        return (_file_rank(path)[0], no_definition, no_word, -len(lines), path)

    return [(path, by_path[path]) for path in sorted(by_path, key=rank)]


def _show(ranked: Sequence[tuple[str, Sequence[Match]]], limit: int) -> str:
    shown: list[str] = []
    count = 0
    for number, (path, matches) in enumerate(ranked):
        if count >= limit:
            rest = sum(len(lines) for _, lines in ranked[number:])
            shown.append(f"[{rest} more in {len(ranked) - number} files; narrow with path or glob]")
            break
        share = matches[: min(PER_FILE if len(ranked) > 1 else limit, limit - count)]
        shown.append(path)
        shown += [f"{match.line:>6}: {clip_line(match.text.strip(), 200)}" for match in share]
        if len(matches) > len(share):
            shown.append(f"        [{len(matches) - len(share)} more in this file]")
        count += len(share)
    return "\n".join(shown)


def _count(matches: Sequence[Match]) -> str:
    files = len({match.path for match in matches})
    return f"{len(matches):,} match{'es' * (len(matches) != 1)} in {files:,} file{'s' * (files != 1)}"


def _where(folder: str, glob: str) -> str:
    return ("" if folder == "." else f" in {folder}") + (f" ({glob})" if glob else "")
