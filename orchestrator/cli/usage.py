"""usage_line: what is wrong with the words of a command line, in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from .app import COMMANDS

ELSEWHERE = {
    "--base-url": "--api-base",
    "--cost-limit": "--budget-usd",
    "--message": "--text",
    "--output-dir": "--output",
    "--prompt": "--text",
    "--step-limit": "--max-steps",
    "--subset": "--dataset",
    "--task": "--text",
}
"""What other agents call it, where the nearest name is not the one that is meant."""


def usage_line(error: Any, arguments: Sequence[str]) -> str:
    """`error`: what click raises of `arguments`, the words after `swe-agent`."""
    path = error.ctx.command_path if error.ctx is not None else _path(arguments)
    message = _words(error)
    wanted = str(getattr(error, "option_name", ""))
    known = list(getattr(error, "possibilities", None) or ())
    if wanted and (known or wanted in ELSEWHERE):
        best = ELSEWHERE.get(wanted) or (get_close_matches(wanted, known, n=1) or known)[0]
        message = f"no such option: {wanted}; did you mean {best}?"
    where = _origin(error)
    hint = "" if message.endswith("?") or "--help" in message or "choose from" in message else _hint(path)
    first = message[:1] if message[:2].isupper() else message[:1].lower()
    return f"{path}: {where}{first}{message[1:]}{hint}"


def _hint(path: str) -> str:
    return f"; see `{path} --help`"


def _words(error: Any) -> str:
    """click's own words without what only programmers read."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = re.sub(r" \(env var: '\w+'\)", "", message)
    message = re.sub(r", unable to parse string as an? \w+$", "", message)
    param = getattr(error, "param", None)
    if param is not None and message.startswith("Invalid value for"):
        name = max(param.opts, key=len) if param.param_type_name == "option" else param.name.upper()
        message = f"{name}: {message.partition(': ')[2].removeprefix('Value error, ')}"
        if found := re.fullmatch(r"(.+): '(.*)' is not one of (.+)", message):
            choices = re.findall(r"'([^']+)'", found[3])
            close = get_close_matches(found[2], choices, n=1)
            message = f"{found[1]} {found[2]!r}: choose from {', '.join(choices)}"
            message += f"; did you mean {close[0]}?" if close else ""
    return message


def _path(arguments: Sequence[str]) -> str:
    """Of an error that does not say where: the command that was named."""
    return f"swe-agent {arguments[0]}" if arguments and arguments[0] in COMMANDS else "swe-agent"


def _origin(error: Any) -> str:
    """The variable or file that a wrong value stands in, if it is no flag."""
    param = getattr(error, "param", None)
    if param is None or error.ctx is None:
        return ""
    source = error.ctx.get_parameter_source(param.name)
    name = getattr(source, "name", "")
    if name == "ENVIRONMENT":
        return f"{param.envvar}: "
    if name == "DEFAULT_MAP" and error.ctx.obj is not None:
        command = error.ctx.command_path.split()[1]
        for item in error.ctx.obj.files:
            if item.command == command and item.key.replace("-", "_") == param.name:
                return f"{item.place}: "
    return ""
