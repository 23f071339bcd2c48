"""A Docker engine of the tests' own: it can be stopped and started again while others run beside it.

It lives in a network namespace of its own. A `dockerd` that shares one with a running engine takes that
engine's `docker0` away: `--bridge=none` deletes the interface, whoever made it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import docker


class DockerEngine:
    """`address` is what DOCKER_HOST takes; `data` is kept, everything else goes with the engine."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._run = Path(tempfile.mkdtemp(prefix="swe-agent-dockerd-"))
        self._daemon: subprocess.Popen[bytes] | None = None
        self.address = f"unix://{self._run}/docker.sock"

    @staticmethod
    def missing() -> str | None:
        """Why no engine can be started here; None: one can."""
        if os.geteuid() != 0:
            return "starting a Docker engine needs root"
        if shutil.which("dockerd") is None:
            return "dockerd is not installed"
        return None

    def start(self) -> None:
        """Returns when the engine answers. Raises: RuntimeError with its last words."""
        command = ["unshare", "--net", "dockerd", "--host", self.address, "--data-root", self._data]
        command += ["--exec-root", self._run / "exec", "--pidfile", self._run / "pid", "--iptables=false"]
        command += ["--ip6tables=false", "--shutdown-timeout=1"]
        with (self._run / "log").open("ab") as log:
            self._daemon = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not answers(self.address):
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                last = (self._run / "log").read_text(errors="replace").strip().splitlines()[-1:]
                raise RuntimeError(f"dockerd does not start here: {' '.join(last)[-300:]}")
            time.sleep(0.2)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._daemon is not None:
            self._daemon.send_signal(number)
            self._daemon.wait(60)
            self._daemon = None

    def __enter__(self) -> DockerEngine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self._run)


def answers(address: str) -> bool:
    try:
        client = docker.DockerClient(base_url=address, timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    # the SDK raises its own, requests' and urllib3's errors for an engine that is not there
    except Exception:
        return False


def lost_bridge(address: str) -> bool:
    """Whether containers cannot be started on the default network of an engine of this machine, because
    the interface of its bridge is gone."""
    client = docker.DockerClient(base_url=address)
    try:
        bridges = client.networks.list(names=["bridge"])
        names = [network.attrs["Options"].get("com.docker.network.bridge.name") for network in bridges]
    finally:
        client.close()
    return address.startswith("unix://") and any(
        name is not None and not Path("/sys/class/net", name).exists() for name in names
    )
