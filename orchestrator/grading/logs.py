"""Log parsers: the output of a test command → {test id: status}.

Statuses are PASSED, FAILED, ERROR, SKIPPED and XFAIL. The ids are those that SWE-bench's datasets use,
so the formats (and their quirks: ids cut at the first blank, option paths reduced to their last part)
follow swebench 4.1.0 and 5.0.2, `harness/log_parsers/python.py`. Where both generations differ, both
spellings of an id are recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Parser = Callable[[str], dict[str, str]]

PASSED, FAILED, ERROR, SKIPPED, XFAIL = STATUSES = ("PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL")
_SKIP_COUNT = re.compile(r"\[\d+\]")
_COLOUR = re.compile(r"\[\d+m")
_CONTROL = dict.fromkeys(range(1, 32))
_OPTION = re.compile(r"(.*?)\[(.*)\]")
_SYMPY_FAILURE = re.compile(r"_* (.*)\.py:(.*) _*")
_VERBOSE_LINE = re.compile(rf"(\S+\.py::\S.*?) ({'|'.join(STATUSES)})\b.*\[ *\d+%\]$")
_DJANGO_INTERRUPTED = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^(.*?)\s\.\.\.\sTesting against Django installed in (?s:.*?) silenced\)\.\nok$",
        r"^(.*?)\s\.\.\.\sInternal Server Error: /.*/\nok$",
        r"^(.*?)\s\.\.\.\sSystem check identified no issues \(0 silenced\)\nok$",
    )
)


def _summary_line(line: str) -> tuple[str, list[str]] | None:
    """Status and words of one line of pytest's short summary (`-rA`)."""
    if not line.startswith(STATUSES):
        return None
    words = (line.replace(" - ", " ") if line.startswith(FAILED) else line).split()
    if len(words) < 2 or words[0] not in STATUSES:
        return None
    if words[0] == SKIPPED and _SKIP_COUNT.fullmatch(words[1]):
        return None
    return words[0], words[1:]


def parse_pytest(log: str) -> dict[str, str]:
    """`STATUS id [- message]`; the id ends at the first blank."""
    found = (_summary_line(line) for line in log.split("\n"))
    return {words[0]: status for status, words in filter(None, found)}


def parse_pytest_options(log: str) -> dict[str, str]:
    """Like pytest's; a parameter that is an absolute path is reduced to its last part."""
    result: dict[str, str] = {}
    for name, status in parse_pytest(log).items():
        option = _OPTION.search(name)
        if option:
            value = option[2]
            if value.startswith("/") and not value.startswith("//") and "*" not in value:
                value = "/" + value.split("/")[-1]
            name = f"{option[1]}[{value}]"
        result[name] = status
    return result


def parse_pytest_columns(log: str) -> dict[str, str]:
    """Colours removed; old versions print `id STATUS`. Ids with blanks are recorded whole and cut."""
    whole: dict[str, str] = {}
    cut: dict[str, str] = {}
    for raw in log.split("\n"):
        line = _COLOUR.sub("", raw).translate(_CONTROL)
        if line.startswith(STATUSES):
            bare = line.split(" - ", 1)[0] if line.startswith(FAILED) else line
            if found := _summary_line(bare):
                whole[" ".join(found[1])] = found[0]
                cut[found[1][0]] = found[0]
        elif line.endswith(STATUSES):
            words = line.split()
            if len(words) >= 2 and words[-1] in STATUSES:
                whole[" ".join(words[:-1])] = words[-1]
                if words[1] in STATUSES:
                    cut[words[0]] = words[1]
    return {**cut, **whole}


def parse_matplotlib(log: str) -> dict[str, str]:
    """pytest's, with mouse buttons as the numbers that older interpreters print."""
    return parse_pytest(log.replace("MouseButton.LEFT", "1").replace("MouseButton.RIGHT", "3"))


def parse_seaborn(log: str) -> dict[str, str]:
    """`FAILED id`, `PASSED id` or `id PASSED`; nothing else counts."""
    result: dict[str, str] = {}
    for line in log.split("\n"):
        words = line.split()
        if len(words) < 2:
            continue
        if line.startswith(FAILED):
            result[words[1]] = FAILED
        elif f" {PASSED} " in line:
            if words[1] == PASSED:
                result[words[0]] = PASSED
        elif line.startswith(PASSED):
            result[words[1]] = PASSED
    return result


def parse_sympy(log: str) -> dict[str, str]:
    """`bin/test -C --verbose`: `test_name ok|F|E`, and a rule of underscores over each failure. From 1.13
    on it runs pytest, `path::test_name STATUS [ 9%]`; those ids are recorded whole and without their path."""
    result = {f"{found[1]}.py:{found[2]}": FAILED for found in _SYMPY_FAILURE.finditer(log)}
    for raw in log.split("\n"):
        line = raw.strip()
        if line.startswith("test_"):
            for suffix, status in ((" E", ERROR), (" F", FAILED), (" ok", PASSED)):
                if line.endswith(suffix):
                    result[line.split()[0]] = status
        elif found := _VERBOSE_LINE.match(line):
            result[found[1]] = result[found[1].rsplit("::", 1)[-1]] = found[2]
    return result


def _django_line(line: str) -> dict[str, str]:
    """What one stripped line says of a test."""
    found: dict[str, str] = {}
    suffix = next((end for end in (" ... ok", " ... OK", " ...  OK") if line.endswith(end)), None)
    if suffix is not None:
        if line.startswith("Applying sites.0002_alter_domain_unique...test_no_migrations"):
            line = line.split("...", 1)[-1].strip()
        found[line.rsplit(suffix, 1)[0]] = PASSED
    if " ... skipped" in line:
        found[line.split(" ... skipped")[0]] = SKIPPED
    for word, status in (("FAIL", FAILED), ("ERROR", ERROR)):
        if line.endswith(f" ... {word}"):
            found[line.split(f" ... {word}")[0]] = status
        if line.startswith(f"{word}:") and len(line.split()) > 1:
            found[line.split()[1]] = status
    return found


def parse_django(log: str) -> dict[str, str]:
    """Django's runner at verbosity 2: `name (module.Class) ... ok|FAIL|ERROR|skipped 'why'`, where other
    output may come between the dots and the verdict."""
    result: dict[str, str] = {}
    previous: str | None = None
    for raw in log.split("\n"):
        line = raw.strip()
        if "--version is equivalent to version" in line:
            result["--version is equivalent to version"] = PASSED
        if " ... " in line:
            previous = line.split(" ... ")[0]
        result |= _django_line(line)
        if line.startswith("ok") and previous is not None:
            result[previous] = PASSED
    for pattern in _DJANGO_INTERRUPTED:
        for found in pattern.finditer(log):
            result[found[1]] = PASSED
    return result


PARSERS: dict[str, Parser] = {
    "pytest": parse_pytest,
    "pytest-options": parse_pytest_options,
    "pytest-columns": parse_pytest_columns,
    "matplotlib": parse_matplotlib,
    "seaborn": parse_seaborn,
    "sympy": parse_sympy,
    "django": parse_django,
}

_NAMES = {
    "pytest_v2": "pytest-columns",
    "pytest_options": "pytest-options",
    "astropy": "pytest-columns",
    "scikit": "pytest-columns",
    "sphinx": "pytest-columns",
    "requests": "pytest-options",
    "pylint": "pytest-options",
    "pydicom": "pytest-options",
    "xarray": "pytest",
    "flask": "pytest",
    "astroid": "pytest",
    "marshmallow": "pytest",
    "pvlib": "pytest",
    "pyvista": "pytest",
    "sqlfluff": "pytest",
}


def parser_named(name: str | None) -> Parser | None:
    """The parser of one of our names or of a 5.x row's `log_parser` (`parse_log_pytest_v2`)."""
    if not name:
        return None
    short = name.removeprefix("parse_log_")
    return PARSERS.get(_NAMES.get(short, short))
