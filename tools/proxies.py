"""Proxies: which proxy and which certificates the environment wants for one address.

httpx reads the same variables itself, but prepares every proxy for any address, so that an ALL_PROXY that it
cannot use, or a NO_PROXY entry that it cannot parse (`fd00::/8`), breaks clients of local endpoints too.
"""

from __future__ import annotations

import ipaddress
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from .errors import UsageError

if TYPE_CHECKING:
    import ssl


class HttpOptions(TypedDict, total=False):
    """Arguments of an httpx client."""

    trust_env: bool
    proxy: str
    verify: ssl.SSLContext


def http_options(url: str) -> HttpOptions:
    """What a client for `url` is made with. Raises: UsageError naming the variable that cannot be used."""
    options: HttpOptions = {"trust_env": False}
    proxy = proxy_of(url)
    if proxy is not None:
        options["proxy"] = proxy
    secure = "https" in (urlsplit(proxy or url).scheme, urlsplit(url).scheme)
    options["verify"] = (_wanted_certificates() if secure else None) or certificates()
    return options


@cache
def certificates(file: str | None = None, folder: str | None = None) -> ssl.SSLContext:
    """The authorities of a file or a folder, else httpx's own: reading them costs every client 25 ms of CPU.
    Raises: OSError."""
    import ssl

    import certifi

    return ssl.create_default_context(cafile=file or (None if folder else certifi.where()), capath=folder)


def proxy_of(url: str) -> str | None:
    """The proxy for `url`, by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY (lower case first). Raises:
    UsageError."""
    parts = urlsplit(url)
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            value = os.environ.get(variable, "").strip()
            if not value or (variable == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ):
                continue
            if _excepted(parts.hostname or "", parts.port):
                return None
            return _usable(variable, value)
    return None


def _usable(variable: str, value: str) -> str:
    value = value if "://" in value else f"http://{value}"
    scheme, _, rest = value.partition("://")
    scheme = {"socks": "socks5", "socks4a": "socks4"}.get(scheme.lower(), scheme.lower())
    if scheme in ("socks5", "socks5h"):
        if find_spec("socksio") is None:
            raise UsageError(
                f"{variable} names a SOCKS proxy ({scheme}), for which the Python package socksio is missing: "
                "pip install socksio, or unset it, or except the endpoint's host with NO_PROXY"
            )
    elif scheme not in ("http", "https"):
        raise UsageError(
            f"{variable} names a proxy of a kind that is not supported ({scheme}): use http or socks5"
        )
    return f"{scheme}://{rest}"


def _excepted(host: str, port: int | None) -> bool:
    entries = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return any(
        _matches(entry.strip().lower(), host.lower(), port) for entry in entries.replace(" ", ",").split(",")
    )


def _matches(entry: str, host: str, port: int | None) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    entry = entry.partition("://")[2] or entry
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and "]" not in wanted and ":" not in name.strip("[]"):
        entry = name
        if port is not None and int(wanted) != port:
            return False
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    return host == entry or host.endswith(f".{entry}")


def _wanted_certificates() -> ssl.SSLContext | None:
    """The context that SSL_CERT_FILE or SSL_CERT_DIR asks for; None for httpx's own certificates."""

    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        value = os.environ.get(variable, "").strip()
        if not value:
            continue
        if not Path(value).exists():
            raise UsageError(f"{variable} names {value}, which does not exist; correct or unset it")
        try:
            if variable == "SSL_CERT_FILE":
                return certificates(value)
            return certificates(folder=value)
        except OSError as error:
            raise UsageError(f"{variable} names {value}, which holds no certificates ({error})") from error
    return None
