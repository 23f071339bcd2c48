"""render: a page from its template. Values are escaped by jinja2; the one script that may run is named by its hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from ..report.duration import duration
from ..report.screen import dollars


@lru_cache(maxsize=1)
def policy() -> str:
    """The Content-Security-Policy: our script by its hash, no frame, no request but to where the page is from."""
    digest = base64.b64encode(hashlib.sha256(_read("page.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'"
    )


def render(name: str, /, *, live_s: float | None = None, **values: Any) -> bytes:
    """The page `name`.html. `live_s`: seconds between looks for news, None for a page that stays as it is."""
    page = _environment().get_template(f"{name}.html").render(live_s=live_s, **values)
    return page.encode("utf-8", "backslashreplace")


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import DictLoader, Environment, StrictUndefined

    names = ("base.html", "run.html", "batch.html", "index.html")
    environment = Environment(
        loader=DictLoader({name: _read(name) for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "difflines": diff_lines,
        "dollars": lambda cost: "-" if cost is None else dollars(cost),
        "duration": lambda seconds: "-" if seconds is None else duration(seconds),
        "known": lambda value: "-" if value is None else value,
        "share": lambda value: "-" if value is None else f"{value:.1%}",
        "tone": tone,
    }
    environment.globals |= {"style": _read("page.css"), "script": _read("page.js"), "policy": policy()}
    return environment


def _read(name: str) -> str:
    return (resources.files(__package__ or __name__) / name).read_text(encoding="utf-8")


_TONES: Mapping[str, str] = {
    "verified": "good", "resolved": "good",
    "not_verified": "warn", "limit": "warn", "no_patch": "warn", "unresolved": "warn",
    "running": "busy", "in work": "busy", "interrupted": "", "not started": "",
}  # fmt: skip


def tone(outcome: str) -> str:
    """The class of an outcome: what is not known to be well or on its way is bad."""
    return _TONES.get(outcome, "bad")


def diff_lines(text: str) -> list[tuple[str, str]]:
    """(class, line) for each line of a unified diff."""
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    return [
        ("head" if line.startswith(("diff ", "+++", "---", "index ")) else kinds.get(line[:1], ""), line)
        for line in text.rstrip("\n").split("\n")
    ]
