"""The base URL of an endpoint, as people write it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ...tools.errors import CredentialsError

_CALL = re.compile(r"/(?:chat/completions|completions|responses|embeddings|models|chat)$")


def base_of(text: str) -> str:
    """The base URL in what people copy: without a query, a trailing slash, or the path of one of its calls.

    Raises: CredentialsError when it is no address.
    """
    base = text.strip().strip("\"'")
    base = base if "://" in base else f"http://{base}"
    try:
        parts = urlsplit(base)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise CredentialsError(f"--api-base {text!r} is no address; it looks like http://HOST:PORT/v1")
    path = _CALL.sub("", urlsplit(base).path.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc}{path}"
