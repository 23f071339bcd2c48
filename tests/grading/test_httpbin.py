"""What a test command sees of the network where httpbin.org is served on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swe_agent.orchestrator.grading.httpbin import RESOLVER

UNROUTED = "import socket; s = socket.socket(); s.settimeout({limit}); s.connect(('255.255.255.255', 80))"


def run(code: str, site: Path) -> subprocess.CompletedProcess[str]:
    (site / "sitecustomize.py").write_text(RESOLVER)
    env = {**os.environ, "PYTHONPATH": str(site), "HTTPBIN_PORTS": "8081:8443"}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


@pytest.mark.parametrize(("port", "expected"), [("80", 8081), ("'https'", 8443), ("99", 99)])
def test_the_name_leads_to_loopback(port: str, expected: int, tmp_path: Path) -> None:
    code = f"import socket; print(socket.getaddrinfo('HTTPBIN.org', {port}, type=socket.SOCK_STREAM)[0][4])"
    assert run(code, tmp_path).stdout.strip() == str(("127.0.0.1", expected))


def test_an_unrouted_address_uses_up_the_time_limit(tmp_path: Path) -> None:
    limited = run(UNROUTED.format(limit="0.1"), tmp_path)
    assert "timed out" in limited.stderr.splitlines()[-1]
    assert "unreachable" in run(UNROUTED.format(limit="None"), tmp_path).stderr.splitlines()[-1]
