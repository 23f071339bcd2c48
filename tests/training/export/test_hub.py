"""push: the real client against a Hub on loopback that speaks the part of its protocol that an upload needs."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from swe_agent.orchestrator.record.synthetic import synthetic_records
from swe_agent.orchestrator.training.export.export import export

pytest.importorskip("huggingface_hub", reason="needs the extra hub: huggingface_hub is not installed")


class Hub:
    """Keeps created repositories and committed files; refuses every token but `good`."""

    def __init__(self):
        self.created, self.files, self.asked = [], {}, []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def body(self):
                return self.rfile.read(int(self.headers.get("content-length") or 0))

            def reply(self, status, data):
                payload = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def do_POST(self):
                body = self.body()
                hub.asked.append(self.path)
                if self.headers.get("authorization") != "Bearer good-token-of-the-test":
                    return self.reply(401, {"error": "Invalid credentials"})
                if self.path == "/api/repos/create":
                    hub.created.append(json.loads(body))
                    return self.reply(
                        200, {"url": f"{hub.url}/datasets/me/data", "name": "me/data", "id": "1"}
                    )
                if "/preupload/" in self.path:
                    asked = json.loads(body)["files"]
                    return self.reply(
                        200,
                        {
                            "files": [
                                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                                for f in asked
                            ]
                        },
                    )
                if "/commit/" in self.path:
                    for line in body.splitlines():
                        item = json.loads(line)
                        if item["key"] == "file":
                            hub.files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
                    return self.reply(
                        200,
                        {"commitUrl": f"{hub.url}/datasets/me/data/commit/{'a' * 40}", "commitOid": "a" * 40,
                         "hookOutput": "", "success": True},
                    )  # fmt: skip
                return self.reply(200, {})

            def do_GET(self):
                hub.asked.append(self.path)
                self.reply(
                    200, {"id": "me/data", "sha": "b" * 40, "siblings": [], "private": True, "tags": []}
                )

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def hub():
    made = Hub()
    yield made
    made.close()


def push(hub, folder, token, home):
    """In its own process, because the client reads HF_ENDPOINT when it is imported."""
    script = "import sys\nfrom pathlib import Path\nfrom swe_agent.orchestrator.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")},
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": token,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", script, "export", str(folder), "--format", "sft", "--out", str(folder.parent / "out"),
         "--push", "me/data"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )  # fmt: skip


def test_an_export_arrives_whole_and_private(hub, tmp_path):
    out = tmp_path / "first"
    export(synthetic_records(3), ["sft"], out)
    done = push(hub, out, "good-token-of-the-test", tmp_path / "home")
    assert done.returncode == 0, done.stderr
    made = hub.created[0]
    assert made.get("private") is True or made.get("visibility") == "private"
    assert hub.created[0]["type"] == "dataset"
    manifest = json.loads(hub.files["manifest.json"])
    for name, file in manifest["files"].items():
        assert hashlib.sha256(hub.files[name]).hexdigest() == file["sha256"]
    assert hub.files["README.md"].startswith(b"---\n")


def test_a_refused_token_is_one_line_and_exit_6(hub, tmp_path):
    out = tmp_path / "first"
    export(synthetic_records(1), ["sft"], out)
    done = push(hub, out, "bad", tmp_path / "home")
    assert done.returncode == 6
    assert "HF_TOKEN" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert hub.files == {}
