"""IndexServer: the package index on a Unix socket that a build's sandbox can reach, and nothing else.

`GET [/until/DATE]/simple/NAME/` and `GET /files/...`. `CONNECT` goes to named hosts of the public internet
only (a git requirement's forge; any for the user's own --setup), never to this machine or its network.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import shutil
import socket
import socketserver
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from packaging.utils import canonicalize_name

from .index import JSON, IndexUnreachable, PackageIndex, page_html, page_json

_PROJECT = re.compile(r"(?:/until/([\w:.+-]+))?/simple/([A-Za-z0-9._-]+)/?")
_FILE = re.compile(r"/files/([0-9a-f]{40})/([^/]+)")
_MOST_REQUESTS = 20_000
_PORTS = (80, 443)


class IndexServer:
    """Serves `index` at `path` from a thread. A context manager."""

    def __init__(
        self,
        index: PackageIndex,
        path: Path,
        *,
        exempt: Collection[str] = (),
        hosts: Collection[str] | None = (),
    ) -> None:
        """`exempt` are the names that no cut-off date applies to; `hosts` those that CONNECT may reach (None:
        every public one)."""
        self.index = index
        self.exempt = frozenset(canonicalize_name(name) for name in exempt)
        self.hosts = None if hosts is None else frozenset(hosts)
        self.requests = 0
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._server = _Server(str(path), Handler)
        path.chmod(0o666)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A build that hangs up is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    server_state: IndexServer
    protocol_version = "HTTP/1.1"
    timeout = 600

    def address_string(self) -> str:
        return "build"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        state = self.server_state
        state.requests += 1
        path = self.path.split("?")[0]
        try:
            if state.requests > _MOST_REQUESTS:
                self._say(429, b"too many requests for one build\n")
            elif found := _PROJECT.fullmatch(path):
                self._project(found[2], found[1])
            elif found := _FILE.fullmatch(path):
                self._file(found[1], metadata=found[2].endswith(".metadata"))
            else:
                self._say(404, b"this is a package index\n")
        except IndexUnreachable as error:
            self._say(502, f"{error}\n".encode())
        except (OSError, ValueError) as error:
            self._say(500, f"{error}\n".encode())

    do_HEAD = do_GET

    def _project(self, name: str, until: str | None) -> None:
        index = self.server_state.index
        exempt = canonicalize_name(name) in self.server_state.exempt
        files = index.project(name, None if exempt else until)
        if files is None:
            self._say(404, b"no such project\n")
            return
        shown = [index.shown(file) for file in files]
        if JSON in self.headers.get("Accept", ""):
            self._say(200, page_json(name, shown).encode(), JSON)
        else:
            self._say(200, page_html(shown).encode(), "text/html")

    def _file(self, token: str, *, metadata: bool) -> None:
        path = self.server_state.index.fetch(token, metadata=metadata)
        if path is None:
            self._say(404, b"no such file\n")
            return
        with path.open("rb") as file:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            if self.command == "GET":
                shutil.copyfileobj(file, self.wfile, 1 << 18)

    def _say(self, code: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        hosts = self.server_state.hosts
        if (hosts is not None and host not in hosts) or not port.isdecimal() or int(port) not in _PORTS:
            self._say(403, b"a build reaches the package index only\n")
            return
        outer = _connect_public(host, int(port))
        if outer is None:
            self._say(502, b"no such host on the public internet\n")
            return
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.wfile.flush()
        back = threading.Thread(target=_pump, args=(outer, self.connection), daemon=True)
        back.start()
        _pump(self.connection, outer)
        back.join(60)
        outer.close()


def _connect_public(host: str, port: int) -> socket.socket | None:
    """A connection to an address that is nobody's own network; the address that was looked at is the one used."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    for family, kind, protocol, _, address in found:
        if not ipaddress.ip_address(str(address[0]).split("%")[0]).is_global:
            continue
        outer = socket.socket(family, kind, protocol)
        outer.settimeout(20)
        try:
            outer.connect(address)
        except OSError:
            outer.close()
            continue
        outer.settimeout(600)
        return outer
    return None


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
