"""PageServer: the pages of a folder of runs and batches on loopback, live while they run.

Every address begins with a secret word, so that no other user of the machine and no other page in the browser
reads along; only GET is known, and nothing but pages is served. A page asks again for itself with the tag that it
came with, and is sent anew only when its files changed.
"""

from __future__ import annotations

import hmac
import secrets
import sys
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ...tools.errors import SweAgentError
from ..solving.run_directory import RunDirectory
from .batch_page import batch_page, collect_batch
from .index_page import index_page, is_batch, is_run, places
from .run_page import run_page
from .template import policy

LIVE_S = 1.0
"""Seconds between looks of a page at a thing that runs."""
INDEX_S = 3.0


class PageServer(ThreadingHTTPServer):
    """Serves until it is shut down."""

    daemon_threads = True

    def __init__(self, root: Path, port: int = 0) -> None:
        """`port` 0: any that is free. Raises: OSError when the port is taken."""
        self.root = root.resolve()
        self.word = secrets.token_urlsafe(12)
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is no fault."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            print(f"swe-agent: a page could not be sent: {error}", file=sys.stderr)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{self.word}/"

    def place(self, name: str) -> Path | None:
        """The run or batch that an address names; None when there is none under the root."""
        path = (self.root / name).resolve()
        inside = path == self.root or self.root in path.parents
        return path if inside and (is_batch(path) or is_run(path)) else None

    def page(self, name: str, other: str) -> bytes | None:
        """The page at `name`, a path from the root; None when there is none. Raises: SweAgentError, OSError."""
        if name == "" and not (is_batch(self.root) or is_run(self.root)):
            return index_page(self.root, live_s=INDEX_S)
        path = self.place(name)
        if path is None:
            return None
        home = None if path == self.root else f"/{self.word}/"
        if not is_batch(path):
            return run_page(RunDirectory(path), live_s=LIVE_S, home=home)
        second = self.place(other) if other else None
        return batch_page(
            collect_batch(path, served=True),
            collect_batch(second, served=True) if second is not None and is_batch(second) else None,
            others={
                item.relative_to(self.root).as_posix(): item.name
                for item in places(self.root)
                if is_batch(item) and item != path
            },
            live_s=LIVE_S,
            home=home,
        )

    def tag(self, name: str, other: str) -> str:
        """Changes when what the page shows may have."""
        if name == "" and not (is_batch(self.root) or is_run(self.root)):
            return _tag(places(self.root))
        found = [
            path for path in (self.place(name), self.place(other) if other else None) if path is not None
        ]
        return _tag(found)


def _tag(found: Iterable[Path]) -> str:
    parts: list[str] = []
    for path in found:
        for name in ("run.json", "events.jsonl", "batch.json", "state.jsonl", "results.json", "evaluation"):
            try:
                facts = (path / name).stat()
            except OSError:
                continue
            parts.append(f"{path}:{facts.st_size}:{facts.st_mtime_ns}")
    return f'"{hash(tuple(parts)) & (2**64 - 1):x}"'


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        split = urlsplit(self.path)
        parts = unquote(split.path).split("/", 2)
        word = parts[1] if len(parts) == 3 else ""
        known = hmac.compare_digest(word.encode(), self.server.word.encode())
        if not known or self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            return self._answer(404, b"nothing here\n")
        name = parts[2]
        other = (parse_qs(split.query).get("with") or [""])[0]
        tag = self.server.tag(name.rstrip("/"), other)
        if self.headers.get("If-None-Match") == tag:
            return self._answer(304, b"")
        if name and not name.endswith("/"):  # links on a page count from its own folder
            return self._answer(301, b"", Location=quote(f"/{word}/{name}/"))
        try:
            page = self.server.page(name.rstrip("/"), other)
        except (SweAgentError, OSError, ValueError) as error:
            return self._answer(500, f"this page cannot be made: {error}\n".encode("utf-8", "replace"))
        if page is None:
            return self._answer(404, b"no run and no batch here\n")
        return self._answer(200, page, ETag=tag, **{"Content-Type": "text/html; charset=utf-8"})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": f"{policy()}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed for a request."""
