"""Data on stdout, byte for byte."""

from __future__ import annotations

import json
import sys
from typing import Any


def write_text(text: str) -> None:
    """Text that may hold bytes which are not UTF-8 (as lone surrogates), such as a patch."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def print_json(value: Any) -> None:
    """One JSON object on a line. A lone surrogate is written as an escape, which JSON allows."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.buffer.flush()
