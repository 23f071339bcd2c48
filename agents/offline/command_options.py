"""Command options: what of the project's test command the engine's own runs keep."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

_OPTIONS = (
    "-c",
    "-o",
    "-p",
    "-W",
    "--pythonwarnings",
    "--rootdir",
    "--import-mode",
    "--confcutdir",
    "--override-ini",
    "--config-file",
    "--doctest-glob",
)
_SWITCHES = ("--doctest-modules",)


def runner_options(command: str) -> list[str]:
    """The options of a pytest command that decide how tests are found and imported; selections, verbosity and
    the like are left out."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    start = next(
        (i + 1 for i, word in enumerate(words) if PurePosixPath(word).name in ("pytest", "py.test")), None
    )
    if start is None:
        return []
    kept: list[str] = []
    rest = iter(words[start:])
    for word in rest:
        if word in _OPTIONS:
            value = next(rest, None)
            kept += [word, value] if value is not None else []
        elif word in _SWITCHES or word.partition("=")[0] in _OPTIONS:
            kept.append(word)
    return kept


def unittest_tops(command: str) -> list[str]:
    """The folder that `unittest discover` imports tests from, where that is not the root: -t, else -s."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    if "unittest" not in words or "discover" not in words:
        return []
    for short, long in (("-t", "--top-level-directory"), ("-s", "--start-directory")):
        for word, value in zip(words, [*words[1:], ""], strict=True):
            folder = value if word in (short, long) else word.removeprefix(f"{long}=")
            if folder != word:
                return [folder] if PurePosixPath(folder) != PurePosixPath(".") else []
    return []
