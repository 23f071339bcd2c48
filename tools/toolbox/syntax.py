"""Syntax: does a file parse, and if it no longer does, where."""

from __future__ import annotations

import ast
import json
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath

_PYTHON_NAME = "<checked source>"
# Warnings about the checked source (invalid escapes) belong to its authors, not on our stderr.
warnings.filterwarnings("ignore", module=r"<checked source>")


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """Why a file does not parse. `line` counts from 1; None when the parser names none."""

    message: str
    line: int | None = None


def checkable(path: str) -> bool:
    """Whether `syntax_fault` knows the language of the file."""
    return PurePosixPath(path).suffix in (".py", ".pyi", ".json", ".toml")


def syntax_fault(path: str, data: bytes) -> SyntaxFault | None:
    """The first fault of a Python, JSON or TOML file; None when it parses or is of another kind."""
    match PurePosixPath(path).suffix:
        case ".py" | ".pyi":
            return _python(data)
        case ".json":
            return _json(data)
        case ".toml":
            return _toml(data)
        case _:
            return None


def _python(data: bytes) -> SyntaxFault | None:
    try:
        ast.parse(data, _PYTHON_NAME)
    except SyntaxError as error:
        return SyntaxFault(f"{type(error).__name__}: {error.msg}", error.lineno)
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxFault(f"{type(error).__name__}: {error}")
    return None


def _json(data: bytes) -> SyntaxFault | None:
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        return SyntaxFault(f"JSON: {error.msg}", error.lineno)
    except (ValueError, RecursionError) as error:
        return SyntaxFault(f"JSON: {error}")
    return None


def _toml(data: bytes) -> SyntaxFault | None:
    try:
        tomllib.loads(data.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        words = str(error)
        _, _, place = words.rpartition("(at line ")
        number = place.split(",")[0]
        return SyntaxFault(f"TOML: {words}", int(number) if number.isdecimal() else None)
    except (UnicodeDecodeError, RecursionError) as error:
        return SyntaxFault(f"TOML: {error}")
    return None


def show_fault(fault: SyntaxFault, text: str, *, around: int = 4) -> str:
    """The fault with the numbered lines about it, the faulty one marked."""
    if fault.line is None:
        return fault.message
    lines = text.split("\n")
    first, last = max(1, fault.line - around), min(len(lines), fault.line + around)
    shown = [
        f"{'>' if number == fault.line else ' '}{number:>6}\t{lines[number - 1]}"
        for number in range(first, last + 1)
    ]
    return "\n".join([f"{fault.message} at line {fault.line}", *shown])
