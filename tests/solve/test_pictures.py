"""Pictures of an issue: shown to models that take them, named to those that do not, kept by hash."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from servers.model_server import ModelServer

from swe_agent.orchestrator.record.build import build_record
from swe_agent.orchestrator.record.invariants import check
from swe_agent.orchestrator.record.log import read_events
from swe_agent.orchestrator.request import SolveRequest
from swe_agent.orchestrator.solving.issue import Issue
from swe_agent.orchestrator.solving.pictures import LARGEST_EDGE, MOST, load_pictures
from swe_agent.orchestrator.solving.replay import replay_run
from swe_agent.orchestrator.solving.run_directory import RunDirectory
from swe_agent.orchestrator.solving.solve import solve

from .conftest import ISSUE
from .test_endpoint import DISAGREEING, team


def picture(width: int = 2000, height: int = 10, form: str = "PNG", colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, form)
    return buffer.getvalue()


def address(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-3.5-turbo"])
def test_what_a_model_is_shown(
    parking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-not-a-real-key-000000")
    title, _, body = ISSUE.partition("\n")
    shown = address(picture())
    issue = Issue("one", title, body, images=(shown, "http://127.0.0.1:1/hidden.png"))
    run = RunDirectory.new("one", tmp_path / "run")
    with ModelServer(team(DISAGREEING)) as server:
        request = SolveRequest(
            issue=issue,
            repository=parking,
            model=f"openai/{model}",
            api_base=server.base,
        )
        result = asyncio.run(solve(request, run))
        calls = [call.body["messages"] for call in server.calls]
    run.release()
    assert result.exit_code == 0
    firsts = [messages[1]["content"] for messages in calls]
    if model == "gpt-3.5-turbo":
        assert all(isinstance(first, str) for first in firsts)
        assert "cannot see:\n- data:image/png" in firsts[0]
        assert not (run.path / "pictures").exists()
        return
    parts = [part for part in firsts[0] if part["type"] == "image_url"]
    assert len(parts) == 1
    with Image.open(io.BytesIO(base64.b64decode(parts[0]["image_url"]["url"].partition(",")[2]))) as sent:
        assert sent.width == LARGEST_EDGE
    assert "hidden.png (its host is not public)" in firsts[0][0]["text"]
    (item, missing) = json.loads((run.path / "pictures/index.json").read_text())
    assert missing["sha256"] is None
    events = run.events.read_text()
    assert f"sha256:{item['sha256']}" in events
    assert "base64" not in events.replace(shown, ""), "the record holds hashes, not pictures"
    record = build_record(read_events(run.events))
    assert all(call.prompt_sha256 for call in record.calls), "the prompt of every call is exact"
    assert not check(record)
    assert replay_run(run, parking, None, lambda type, fields: None).identical


class Host(BaseHTTPRequestHandler):
    pages: Mapping[str, tuple[int, Mapping[str, str], bytes]] = {}

    def do_GET(self) -> None:
        status, headers, body = self.pages[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_what_hosts_send(tmp_path: Path) -> None:
    Host.pages = {
        "/a.jpg": (200, {}, picture(30, 20, "JPEG")),
        "/moved": (302, {"Location": "/a.jpg"}, b""),
        "/round": (302, {"Location": "/round"}, b""),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
        "/page": (200, {}, b"<html>" * 100),
        "/svg": (200, {}, b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "/gone": (404, {}, b""),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    urls = [*(base + path for path in Host.pages), "file:///etc/passwd", "ftp://x/y", "data:image/png,zz"]
    found = load_pictures(urls[:MOST], tmp_path / "p", private=True)
    had = {item.url.removeprefix(base): item.sha256 is not None for item in found.items}
    assert had == {path: path in ("/a.jpg", "/moved") for path in (*Host.pages, "file:///etc/passwd")}
    assert len({item.sha256 for item in found.items if item.sha256}) == 1
    server.shutdown()
    server.server_close()
    assert load_pictures(urls, tmp_path / "p").items == found.items, "looked at once"
    guarded = load_pictures([base + "/a.jpg", "http://169.254.169.254/x", "http://[::1]/x"], tmp_path / "q")
    assert {item.problem for item in guarded.items} == {"its host is not public"}


def test_the_budget(tmp_path: Path) -> None:
    many = [address(picture(8, 8, colour=f"#0000{n:02x}")) for n in range(MOST + 2)]
    found = load_pictures(many, tmp_path / "many")
    assert [item.sha256 is not None for item in found.items] == [True] * MOST + [False] * 2
    assert "only the first" in found.named(seen=True)
    noise = Image.effect_noise((1500, 1500), 100).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    loud = load_pictures([address(buffer.getvalue() + bytes([n])) for n in range(8)], tmp_path / "loud")
    assert sum(item.bytes or 0 for item in loud.items) <= 5 << 20
    bomb = address(picture(9000, 9000))
    assert "too many" in str(load_pictures([bomb], tmp_path / "bomb").items[0].problem)
