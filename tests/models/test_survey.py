"""`doctor --ping` says what an endpoint takes, by trying, in a table that can be pasted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from servers.model_server import ModelServer, Received


def endpoint(request: Received) -> Mapping[str, Any]:
    """Knows no seed, no system role and no log probabilities, in words of its own."""
    body = request.body
    if "seed" in body or "logprobs" in body or any(chat["role"] == "system" for chat in body["messages"]):
        return {"status": 422, "raw": {"detail": "E77 | not here"}}
    if (asked := body.get("max_tokens") or body.get("max_completion_tokens") or 0) > 4096:
        return {
            "status": 400,
            "raw": {
                "error": {
                    "message": f"This model's maximum context length is 8192 tokens. However, you requested {asked} tokens"
                }
            },
        }
    if body.get("tools"):
        return {"tool_calls": [{"name": "pong", "arguments": {}}]}
    return {"content": "pong"}


def test_a_table_of_what_an_endpoint_takes() -> None:
    with ModelServer(endpoint) as server:
        command = [sys.executable, "-m", "swe_agent", "doctor", "--ping", "--model", "openai/m"]
        done = subprocess.run(
            [*command, "--api-base", server.base],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "OPENAI_API_KEY": "sk-test-12345678"},
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert lines[:2] == ["| openai/m | takes it | |", "|---|---|---|"], done.stdout + done.stderr
    taken = {cells[1].strip(): cells[2].strip() for cells in (line.split("|") for line in lines[2:])}
    assert taken == {
        "system role": "no", "streaming": "yes", "temperature": "yes", "seed": "no", "token limit": "yes",
        "logprobs": "no", "tools": "yes", "user after tool": "yes", "window": "yes",
    }  # fmt: skip
    assert "| window | yes | 8192 tokens, by its refusal" in done.stdout
    assert all(line.count("|") == 4 for line in lines), "a refusal's own bars would break the table"
    assert "sk-test-12345678" not in done.stdout + done.stderr
