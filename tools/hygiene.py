"""Hygiene: a patch without what does not belong in it, and a list of what was taken out."""

from __future__ import annotations

import ast
import fnmatch
import itertools
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .artefacts import is_artefact
from .errors import SandboxError
from .patch import Patch
from .testing.test_files import is_test_file
from .toolbox.syntax import checkable, syntax_fault
from .workspace import LARGE_FILE_BYTES, Workspace

_STRAY = re.compile(
    r"(repro(duce|ducer|duction)?|debug|scratch|tmp|temp|try|demo|minimal|"
    r"(test|check|verify|run)[_-]?(issue|bug|fix|repro))"
    r"([_-].*|\d*)\.(py|sh|js|ts|rb|go|txt|md|diff|patch|json|out)|.*\.(diff|patch)",
    re.IGNORECASE,
)
_MODE = re.compile(r"^(?:new file mode|deleted file mode|new mode|index \S+) (\d{6})$", re.MULTILINE)
_STRAY_FOLDER = re.compile(r"^(repro\w*|scratch\w*|tmp|temp)$", re.IGNORECASE)
_HEADER = re.compile(r'^diff --git (?:"?a/.*"?) (?:"b/(?P<quoted>.*)"|b/(?P<plain>.*))$')


WEAKENS = (
    "protected file",
    "deletes existing tests",
    "removes assertions of existing tests",
    "skips existing tests",
)
"""Reasons that are a fault of whoever made the patch, not a matter of tidiness."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One file left out of the patch, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hygiene:
    """The cleaned patch. `faults` says what is wrong with what is left (it does not apply on the base, a
    file does not parse); a patch with faults is worth nothing."""

    patch: Patch
    removed: tuple[Removed, ...] = ()
    faults: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Section:
    """The part of a patch about one file."""

    path: str
    text: str

    @property
    def head(self) -> str:
        return self.text.split("\n@@ ", 1)[0]

    @property
    def new(self) -> bool:
        return "\nnew file mode " in self.head

    @property
    def deleted(self) -> bool:
        return "\ndeleted file mode " in self.head

    @property
    def mode(self) -> str:
        found = re.search(
            r"^(?:new file mode|deleted file mode|new mode|index \S+) (\d{6})$", self.head, re.MULTILINE
        )
        return found[1] if found else ""

    @property
    def binary(self) -> bool:
        return bool(re.search(r"^(GIT binary patch|Binary files .* differ)$", self.head, re.MULTILINE))


def clean_patch(
    workspace: Workspace,
    patch: Patch,
    *,
    protected: Sequence[str] = (),
    keep_tests: bool = True,
    reproduction_paths: Collection[str] = (),
) -> Hygiene:
    """`patch` without binaries, caches and other artefacts, stray scripts, links that lead outside, files
    that match a `protected` glob, and edits that weaken existing tests (tests or assertions gone, new
    skips).

    Without `keep_tests` every change to a test file goes. Files of `reproduction_paths` go too, unless
    `keep_tests` is set and they are named as tests beside other tests. What is left is checked with
    `git apply --check` on the clean base, and for files that no longer parse.

    Raises: PatchError when the patch is malformed; SandboxError.
    """
    sections = list(_sections(patch.text))
    at_root = _root_tests(workspace) if any(section.new for section in sections) else False
    kept: list[_Section] = []
    removed = [Removed(path, "artefact, or file over 1 MiB") for path in workspace.too_large]
    removed += [Removed(path, "git repository of its own") for path in workspace.left_out]
    for section in sections:
        reason = (
            _foreign(section)
            or _named(section, protected, reproduction_paths, keep_tests)
            or (_stray(section, sections, at_root) if section.new else None)
            or _weakened(section, patch.before, patch.after)
        )
        if reason is None:
            kept.append(section)
        else:
            removed.append(Removed(section.path, reason))
    if removed:
        paths = {section.path for section in kept}
        patch = Patch(
            "".join(section.text for section in kept),
            after={path: text for path, text in patch.after.items() if path in paths},
            before={path: text for path, text in patch.before.items() if path in paths},
        )
    return Hygiene(patch, tuple(removed), tuple(_faults(workspace, patch)))


def _sections(text: str) -> Iterator[_Section]:
    starts = [match.start() for match in re.finditer(r"^diff --git ", text, re.MULTILINE)]
    for start, end in itertools.pairwise([*starts, len(text)]):
        section = text[start:end]
        match = _HEADER.match(section.split("\n", 1)[0])
        target = re.search(r"^\+\+\+ b/(.*?)\t?$", section.split("\n@@ ", 1)[0], re.MULTILINE)
        path = target[1] if target else (match["plain"] or match["quoted"] or "") if match else ""
        if match and not target and match["plain"]:
            path = _unquoted_path(section.split("\n", 1)[0])
        yield _Section(path, section)


def _unquoted_path(header: str) -> str:
    """The path of `diff --git a/P b/P`, where P may hold ` b/`: the two halves are the same."""
    body = header.removeprefix("diff --git ")
    half = (len(body) - 1) // 2
    return body[half + 3 :] if body[2:half] == body[half + 3 :] else body.rpartition(" b/")[2]


def _foreign(section: _Section) -> str | None:
    if section.binary:
        return "binary file"
    if section.mode == "160000":
        return "nested repository"
    if section.mode == "120000" and not section.deleted:
        target = "".join(
            line[1:] for line in section.text.split("\n") if line[:1] == "+" and line[:4] != "+++ "
        )
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(section.path), target))
        if target.startswith("/") or inside.split("/")[0] == "..":
            return "symbolic link that leads outside the repository"
        if ".git" in inside.split("/"):
            return "symbolic link into .git"
    if section.new and is_artefact(section.path):
        return "cache or build artefact"
    if section.new and len(section.text) > LARGE_FILE_BYTES:
        return "generated file (over 1 MiB)"
    return None


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _named(
    section: _Section, protected: Sequence[str], reproduction: Collection[str], keep_tests: bool
) -> str | None:
    path = section.path
    if any(_glob(path, pattern) for pattern in protected):
        return "protected file"
    test = is_test_file(path)
    if path in reproduction and not (keep_tests and test and "/" in path):
        return "reproduction test"
    if test and not keep_tests:
        return "new test" if section.new else "change to an existing test"
    return None


def _glob(path: str, pattern: str) -> bool:
    """`**` and a trailing slash as in .gitignore; a pattern without a slash matches any file name."""
    pattern = pattern.removeprefix("./")
    if pattern.endswith("/"):
        return path.startswith(pattern) or f"/{pattern}" in f"/{path}"
    if "/" not in pattern:
        return _matches(posixpath.basename(path), [pattern])
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("/"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(wild.get(part, re.escape(part)) for part in parts), path) is not None


def _stray(section: _Section, sections: Sequence[_Section], root_tests: bool) -> str | None:
    """A new file at the root, or in a folder for such things, that is named as a throw-away and that
    nothing else in the patch mentions."""
    folder, name = posixpath.split(section.path)
    stray = not folder and _STRAY.fullmatch(name) and not (root_tests and is_test_file(name))
    if not stray and not (folder and _STRAY_FOLDER.match(folder.split("/")[0])):
        return None
    stem = re.compile(rf"^\+.*\b{re.escape(posixpath.splitext(name)[0])}\b", re.MULTILINE)
    if any(other is not section and stem.search(other.text.partition("\n@@ ")[2]) for other in sections):
        return None
    return "stray script"


def _root_tests(workspace: Workspace) -> bool:
    """Whether the base itself keeps tests at the root of the repository."""
    done = workspace.sandbox.exec(["git", "ls-tree", "--name-only", workspace.base_commit])
    return any(is_test_file(name) for name in done.output.splitlines())


def _weakened(
    section: _Section, before: Mapping[str, str | None], after: Mapping[str, str | None]
) -> str | None:
    path = section.path
    if section.new or not is_test_file(path):
        return None
    if section.deleted:
        return "deletes existing tests"
    old, new = before.get(path), after.get(path)
    if old is None or new is None or not path.endswith(".py"):
        return None
    try:
        earlier, later = _tests_in(old), _tests_in(new)
    except (SyntaxError, ValueError, RecursionError):
        return None
    if set(earlier.checks) - set(later.checks):
        return "deletes existing tests"
    if any(later.checks[name] < count for name, count in earlier.checks.items()):
        return "removes assertions of existing tests"
    if later.skips > earlier.skips:
        return "skips existing tests"
    return None


@dataclass(frozen=True, slots=True)
class _Tests:
    checks: Mapping[str, int]
    """Test name → number of assertions in it."""
    skips: int


def _tests_in(source: str) -> _Tests:
    checks: Counter[str] = Counter()
    skips = 0
    # Bytes: a declared encoding counts.
    data = source.encode("utf-8", "surrogateescape")
    for node in ast.walk(ast.parse(data, "<checked source>")):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            checks[node.name] += sum(_is_check(part) for part in ast.walk(node))
        elif isinstance(node, (ast.Attribute, ast.Name)):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            skips += name.lower() in ("skip", "skipif", "skipunless", "skiptest", "xfail", "expectedfailure")
    return _Tests(checks, skips)


def _is_check(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name.startswith("assert") or name in ("raises", "warns", "fail")


def _faults(workspace: Workspace, patch: Patch) -> Iterator[str]:
    if patch.is_empty:
        return
    index = ".git/swe-agent-check"
    done = workspace.sandbox.exec(
        f'export GIT_INDEX_FILE={index}; git read-tree "$BASE" || exit 99; '
        f"git apply --check --cached --whitespace=nowarn -; code=$?; rm -f {index}; exit $code",
        stdin=patch.text.encode("utf-8", "surrogateescape"),
        env={"BASE": workspace.base_commit},
        timeout=120,
    )
    if done.exit_code == 99 or done.timed_out:
        raise SandboxError(f"git cannot read the base commit in the workspace: {done.output.strip()[-300:]}")
    if done.exit_code != 0:
        yield f"does not apply on the base commit: {done.output.strip().splitlines()[0]}"
    for path, text in patch.after.items():
        if text is None or not checkable(path):
            continue
        fault = syntax_fault(path, text.encode("utf-8", "surrogateescape"))
        old = patch.before.get(path)
        if fault is not None and not (
            old is not None and syntax_fault(path, old.encode("utf-8", "surrogateescape"))
        ):
            where = f" at line {fault.line}" if fault.line else ""
            yield f"{path} does not parse: {fault.message}{where}"
