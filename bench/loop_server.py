"""A chat-completions server on loopback for one policy: answers as vLLM does, token ids and logprobs included."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loop_policy import Asked, Policy, Said


class Server:
    """Serves until `close`. `url` is the base that clients take."""

    def __init__(self, policy: Policy, name: str) -> None:
        self._policy = policy
        self._name = name
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, {"object": "list", "data": [{"id": server._name, "object": "model"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                try:
                    self._send(200, server._complete(body))
                except Exception as error:  # told to the client, which says so and tries again
                    self._send(500, {"error": {"message": f"{type(error).__name__}: {error}"}})

            def _send(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._policy.close()

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 256
        said = self._policy.answer(
            Asked(body["messages"], body.get("tools") or (), float(body.get("temperature") or 0), int(limit))
        )
        return {
            "id": "loop",
            "object": "chat.completion",
            "created": 0,
            "model": self._name,
            "choices": [_choice(said, len(body["messages"]))],
            "usage": {
                "prompt_tokens": len(said.prompt_ids),
                "completion_tokens": len(said.ids),
                "total_tokens": len(said.prompt_ids) + len(said.ids),
            },
            **({"prompt_token_ids": list(said.prompt_ids)} if said.prompt_ids else {}),
        }


def _choice(said: Said, turn: int) -> dict[str, Any]:
    calls = [
        {
            "id": f"call_{turn}_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(said.calls)
    ]
    message = {"role": "assistant", "content": said.text, **({"tool_calls": calls} if calls else {})}
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if calls else "length" if said.cut else "stop",
    }
    if said.ids:
        choice["token_ids"] = list(said.ids)
        choice["logprobs"] = {"content": [{"token": "", "logprob": one} for one in said.logprobs]}
    return choice
