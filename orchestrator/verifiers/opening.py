"""open_verifier: the verifier that a setting names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from ...tools.errors import UsageError
from .case import Verifier
from .endpoint import EndpointVerifier
from .trained import read_trained


def open_verifier(named: str) -> Verifier:
    """Of a URL or a file. Raises: UsageError."""
    parts = urlsplit(named)
    if "://" not in named:
        return read_trained(Path(named).expanduser())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"--verifier {named}: write a file or an http(s) URL")
    return EndpointVerifier(named)


def check_verifier(named: str | None) -> None:
    """None: there is none to check. Raises: UsageError when the file is no verifier or the URL cannot be reached."""
    verifier = open_verifier(named) if named is not None else None
    if isinstance(verifier, EndpointVerifier):
        verifier.check()
