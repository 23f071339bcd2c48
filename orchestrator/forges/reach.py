"""reach: does anything answer at a host, found out within seconds."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

from ...tools.errors import ForgeError

_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
_LIMIT_S = 4.0


def check_reachable(url: str) -> None:
    """Connect once, name lookup included, within four seconds. Nothing is checked for local paths and where
    a proxy is set, because then the proxy looks names up.

    Raises: ForgeError naming the host. git alone would wait minutes for a host that does not answer.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _PORTS or host is None or _proxied(parts.scheme, parts.netloc):
        return
    port = parts.port or _PORTS[parts.scheme]
    outcome: list[str | None] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=_LIMIT_S).close()
            outcome.append(None)
        except OSError as error:
            outcome.append(error.strerror or str(error))

    # getaddrinfo has no time limit of its own; a thread that hangs in it dies with the process.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_LIMIT_S + 0.3)
    why = outcome[0] if outcome else "no answer in time"
    if why is not None:
        raise ForgeError(
            f"cannot reach {parts.netloc.rpartition('@')[2]}: {why}; check the address and the network"
        )


def _proxied(scheme: str, netloc: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        proxies = urllib.request.getproxies()
        return (scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(netloc)
    return False
