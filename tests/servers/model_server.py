"""A model endpoint on loopback: real HTTP, scripted answers, real faults.

In tests: `with ModelServer([...]) as server:` (a thread; `server.requests` holds what arrived). On its own:
`python -m servers.model_server --port 8000 [--script FILE]` prints its address.

A reply is an object. An answer: {content, reasoning_content, tool_calls [{name, arguments, id?}],
finish_reason, usage, logprobs, token_ids, prompt_token_ids, refusal}. A refusal: {status, message, code?,
param?, headers?}. A fault: {fault: reset | hang | cut | garbage | empty | cut_stream | silent_stream}.
Anything else as it is: {raw: {...}} or {raw_text: "...", content_type}. `delay_s` comes before any of them,
`chunk_delay_s` between the events of a stream; `gate`, a threading.Event, must be set before the answer is sent. The script is a list of replies, or
{"routes": [{"when": text of the first message, "replies": [...]}], "replies": [...], "models": [...]};
a list's last reply repeats.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers.completions import Reply, completion, stream_chunks

_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal",
}


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes
    at: float = field(default_factory=time.monotonic)


_NUMBERS = itertools.count(1)


class ModelServer:
    """Serves one script. `reply` may instead be a function of the request."""

    def __init__(
        self,
        script: Sequence[Reply] | Mapping[str, Any] | Callable[[Received], Reply] = (),
        *,
        port: int = 0,
        keep: bool = True,
        watch: Path | None = None,
    ) -> None:
        """`watch` names a file with a process id: what that process has used by each call is then served as
        JSON at `/usage`. `keep` False keeps no requests and parses no body that it need not."""
        if isinstance(script, Mapping):
            self._routes = [(r["when"], list(r["replies"])) for r in script.get("routes", ())]
            self._replies = list(script.get("replies", ()))
            self._models = list(script.get("models", ["scripted"]))
        else:
            self._routes = []
            self._replies = [] if callable(script) else list(script)
            self._models = ["scripted"]
        self.key = f"sk-test-key-{next(_NUMBERS)}"
        """No other server's: a client's limits are kept by address and key, and addresses come again."""
        self._function = script if callable(script) else None
        self._used: dict[int, int] = {}
        self._keep = keep
        self._watch = watch
        self.usage: list[dict[str, float]] = []
        self.requests: list[Received] = []
        self.open_calls = 0
        self.most_open_calls = 0
        self._socket = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped: asyncio.Event | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        """What `--api-base` takes."""
        return f"{self.origin}/v1"

    @property
    def calls(self) -> list[Received]:
        """The requests for a completion, without those for lists of models."""
        return [request for request in self.requests if request.method == "POST"]

    def __enter__(self) -> ModelServer:
        started = threading.Event()

        def run() -> None:
            async def main() -> None:
                self._loop = asyncio.get_running_loop()
                self._stopped = stopped = asyncio.Event()
                server = await asyncio.start_server(self._serve, sock=self._socket, limit=1 << 26)
                started.set()
                await stopped.wait()
                server.close()
                for task in asyncio.all_tasks():
                    if task is not asyncio.current_task():
                        task.cancel()

            asyncio.run(main())

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        assert self._stopped is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    async def serve_forever(self) -> None:
        server = await asyncio.start_server(self._serve, sock=self._socket, limit=1 << 26)
        await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                start, *lines = head.decode("latin-1").split("\r\n")
                headers = {
                    k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines) if k
                }
                raw = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = start.split(" ", 2)
                if not await self._answer(method, path, headers, raw, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], raw: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        if method == "GET" and path.split("?")[0].rstrip("/").endswith("/models"):
            if self._keep:
                self.requests.append(Received(method, path, headers, None, raw))
            if not self._models:
                return await _send(writer, 404, {"error": {"message": "not found"}})
            return await _send(writer, 200, {"object": "list", "data": [{"id": m} for m in self._models]})
        if method == "GET" and path == "/usage":
            return await _send(writer, 200, self.usage)
        if self._watch is not None:
            self.usage.append(used_by(int(self._watch.read_text())))
        body = (
            json.loads(raw)
            if raw and self._needs_body()
            else {"stream": b'"stream":true' in raw.replace(b" ", b"")}
        )
        request = Received(method, path, headers, body, raw if self._keep else b"")
        if self._keep:
            self.requests.append(request)
        reply = self._next(request)
        self.open_calls += 1
        self.most_open_calls = max(self.most_open_calls, self.open_calls)
        try:
            await asyncio.sleep(reply.get("delay_s", 0))
            while "gate" in reply and not reply["gate"].is_set():
                await asyncio.sleep(0.02)
            return await self._send_reply(reply, request, writer)
        finally:
            self.open_calls -= 1

    def _needs_body(self) -> bool:
        return self._keep or bool(self._routes) or self._function is not None

    def _next(self, request: Received) -> Reply:
        if self._function is not None:
            return self._function(request)
        place, replies = -1, self._replies
        if self._routes:
            messages = request.body.get("messages") or [{}]
            first = json.dumps(messages[0])
            for number, (when, listed) in enumerate(self._routes):
                if when in first:
                    place, replies = number, listed
                    break
        if not replies:
            return {"content": "ok"}
        used = self._used.get(place, 0)
        self._used[place] = used + 1
        return replies[min(used, len(replies) - 1)]

    async def _send_reply(self, reply: Reply, request: Received, writer: asyncio.StreamWriter) -> bool:
        fault = reply.get("fault")
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        if fault == "hang":
            await asyncio.sleep(reply.get("hang_s", 3600))
            return False
        if fault == "empty":
            return False
        if fault == "garbage":
            return await _send(writer, 200, None, text="<html>bad gateway</html>")
        if fault == "cut":
            body = json.dumps(completion(reply)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])
            await writer.drain()
            return False
        if "status" in reply:
            error = {
                name: reply[name]
                for name in ("message", "code", "param", "type", "metadata")
                if name in reply
            }
            headers = {str(k): str(v) for k, v in reply.get("headers", {}).items()}
            return await _send(writer, reply["status"], reply.get("raw", {"error": error}), headers=headers)
        if "raw" in reply or "raw_text" in reply:
            return await _send(
                writer,
                200,
                reply.get("raw"),
                text=reply.get("raw_text"),
                content_type=reply.get("content_type"),
            )
        wants_stream = isinstance(request.body, dict) and request.body.get("stream")
        if wants_stream:
            return await self._stream(reply, writer)
        return await _send(writer, 200, completion(reply))

    async def _stream(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        chunks = stream_chunks(reply)
        fault = reply.get("fault")
        for number, chunk in enumerate(chunks):
            if fault == "silent_stream" and number == 2:
                await asyncio.sleep(3600)
            if fault == "cut_stream" and number == len(chunks) // 2:
                return False
            event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
            writer.write(b"%x\r\n" % len(event) + event + b"\r\n")
            await writer.drain()
            await asyncio.sleep(reply.get("chunk_delay_s", 0))
        if fault == "clean_cut":
            writer.write(b"0\r\n\r\n")
            return True
        done = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n" % len(done) + done + b"\r\n0\r\n\r\n")
        await writer.drain()
        return True


def used_by(pid: int) -> dict[str, float]:
    """CPU seconds of all threads of a process (its Linux CPU clock: see clock_getcpuclockid(3)), peak
    resident MiB, and bytes handed to write calls (procfs)."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return {"cpu_s": time.clock_gettime((~pid << 3) | 2), "rss_mib": peak / 1024, "written": int(io["wchar"])}


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: Any,
    *,
    headers: Mapping[str, str] | None = None,
    text: str | None = None,
    content_type: str | None = None,
) -> bool:
    data = text.encode() if text is not None else json.dumps(body).encode()
    kind = content_type or ("text/html" if text is not None else "application/json")
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}",
        f"content-type: {kind}",
        f"content-length: {len(data)}",
    ]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    await writer.drain()
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", help="JSON file")
    parser.add_argument("--watch", type=Path, help="file with a process id, see /usage")
    args = parser.parse_args()
    script = json.loads(Path(args.script).read_text()) if args.script else []
    server = ModelServer(script, port=args.port, keep=False, watch=args.watch)
    print(server.base, flush=True)
    asyncio.run(server.serve_forever())


if __name__ == "__main__":
    main()
