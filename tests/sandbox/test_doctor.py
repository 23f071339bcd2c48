"""What a machine lacks is named, with what to do about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.sandbox.doctor import diagnose

_OPEN = """
import sys
from pathlib import Path
from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
Path("/proc/sys/user/max_user_namespaces").write_text("0")
try:
    open_sandbox("namespace", SandboxSpec(Path(sys.argv[1]), Path(sys.argv[2])))
except SandboxError as error:
    print(error)
"""


def test_every_check_says_what_it_found_and_what_to_do() -> None:
    checks = diagnose()
    assert {"kernel", "sandbox namespace", "sandbox docker"} <= {check.name for check in checks}
    for check in checks:
        assert check.detail
        assert check.ok or check.remedy


def test_a_limit_of_no_user_namespaces_is_named(source: Path, tmp_path: Path) -> None:
    """The limit is one of each user namespace, so that a test can set it in its own."""
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine has no user namespaces to switch off")
    command = [*inside, sys.executable, "-c", _OPEN, str(source), str(tmp_path / "scratch")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "max_user_namespaces=0" in done.stdout, done.stderr
    assert "sysctl -w user.max_user_namespaces" in done.stdout
    assert list((tmp_path / "scratch").glob("*")) == []


def test_a_path_that_cannot_be_shown_is_named(source: Path, tmp_path: Path) -> None:
    spec = SandboxSpec(source, tmp_path / "scratch", read_only=(tmp_path / "missing",))
    with pytest.raises(SandboxError, match="missing does not exist"):
        open_sandbox("namespace", spec)


def test_a_daemon_that_is_down_is_named(source: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from swe_agent.tools.sandbox import SandboxSpec, open_sandbox\n"
        "from swe_agent.tools.errors import SandboxError\n"
        "try: open_sandbox('docker', SandboxSpec(Path(sys.argv[1]), Path(sys.argv[2]), image='x'))\n"
        "except SandboxError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(source), str(tmp_path)]
    env = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
    assert "cannot reach the Docker daemon" in done.stdout, done.stderr
    assert "DOCKER_HOST" in done.stdout
    assert "Traceback" not in done.stderr
