"""A namespace sandbox in its control group, where this machine lets us make one: what the kernel bounds, what is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox.walls import LIMITS, python

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox.base import SandboxSpec
from swe_agent.tools.sandbox.holder.cgroup_place import CgroupPlace, NoPlaceError
from swe_agent.tools.sandbox.namespace import NamespaceSandbox
from swe_agent.tools.sandbox.spawner import owner_name

_OPEN = """
import sys, time
from pathlib import Path
from swe_agent.tools.sandbox import Limits, SandboxSpec
from swe_agent.tools.sandbox.namespace import NamespaceSandbox
interpreter = Path(sys.base_prefix)
shown = () if interpreter.is_relative_to("/usr") else (interpreter,)
limits = Limits(memory_bytes=256 << 20, processes=64)
with NamespaceSandbox(SandboxSpec(Path(sys.argv[1]), Path(sys.argv[2]), read_only=shown, limits=limits)) as base:
    with base.fork() as box:
        print(box.cgroup_version(), flush=True)
        if sys.argv[3] == "wait":
            box.exec("sleep 3218", timeout=600)
        code = (
            "import os, time\\n"
            "for _ in range(6):\\n"
            "    if os.fork() == 0: x = bytearray(b'1') * (100 << 20); time.sleep(9); os._exit(0)\\n"
            "time.sleep(9); print('all fit')"
        )
        python = str(interpreter / "bin" / f"python3.{sys.version_info.minor}")
        done = box.exec([python, "-I", "-S", "-c", code], timeout=20)
        print(done.exit_code, done.output.strip().splitlines()[-1:], flush=True)
"""


def _place() -> CgroupPlace:
    try:
        return CgroupPlace.find("", owner_name())
    except NoPlaceError as error:
        pytest.skip(f"no control group can be made here: {error}")


def _groups(owner: str = "") -> list[str]:
    """Names of groups of sandboxes, of one owner (`-PID-`) or any."""
    return [str(found) for parent in _place().parents for found in Path(parent).glob(f"swe-agent-*{owner}*")]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceSandbox]:
    _place()
    folder = tmp_path_factory.mktemp("grouped")
    (folder / "source").mkdir()
    (folder / "source" / "file.txt").write_text("inside\n")
    interpreter = Path(sys.base_prefix)
    shown = () if interpreter.is_relative_to("/usr") else (interpreter,)
    try:
        opened = NamespaceSandbox(
            SandboxSpec(folder / "source", folder / "scratch", read_only=shown, limits=LIMITS)
        )
    except SandboxError as error:
        pytest.skip(f"this machine cannot run it: {error}")
    with opened:
        yield opened


@pytest.fixture
def box(grouped: NamespaceSandbox) -> Iterator[NamespaceSandbox]:
    with grouped.fork() as child:
        assert child.cgroup_version() == _place().version
        yield child
        assert child.exec("cat file.txt", timeout=30).output == "inside\n"


def _file(box: NamespaceSandbox, *names: str) -> str:
    """The first file of these names in the sandbox's group."""
    for folder in box.cgroup_folders:
        for name in names:
            if (path := Path(folder, name)).exists():
                return path.read_text().strip()
    raise AssertionError(f"none of {names}")


def test_commands_are_in_a_group_with_the_sandboxes_limits(box: NamespaceSandbox) -> None:
    assert box.exec("true").exit_code == 0
    assert int(_file(box, "memory.max", "memory.limit_in_bytes")) == LIMITS.memory_bytes + (32 << 20)  # type: ignore[operator]
    assert _file(box, "pids.max") == "65"
    before = int(_file(box, "pids.current"))
    session = box.open_session(["sh", "-c", "echo started; read x"])
    assert session.receive(10) == b"started"
    assert int(_file(box, "pids.current")) == before + 2, "its leader and its first process"
    session.close()
    assert int(_file(box, "pids.current")) <= before


def test_the_group_is_not_to_be_seen_inside(box: NamespaceSandbox) -> None:
    groups = {line.rpartition(":")[2] for line in box.exec("cat /proc/self/cgroup").output.splitlines()}
    assert not [name for name in groups if "swe-agent" in name]
    assert "/" in groups
    assert "cgroup" not in box.exec("cat /proc/self/mounts").output
    assert box.exec("ls -A /sys").output == ""


HOGS = {
    "many processes at once": """
for _ in range(12):
    if os.fork() == 0:
        x = bytearray(b'1') * (200 << 20); time.sleep(20); os._exit(0)
time.sleep(20)
""",
    "shared memory": "kept = []\nfor _ in range(24):\n    m = mmap.mmap(-1, 100 << 20); m[:] = b'x' * (100 << 20); kept.append(m)\n",
    "files of /dev/shm and the process": """
for n in range(5):
    with open('/dev/shm/f%d' % n, 'wb') as f:
        for _ in range(50): f.write(b'x' * (1 << 20))
x = [bytearray(b'1') * (20 << 20) for _ in range(20)]
time.sleep(5)
""",
    "System V segments": """
c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p
for _ in range(24):
    p = c.shmat(c.shmget(0, 100 << 20, 0o1600), None, 0)
    ctypes.memset(ctypes.c_void_p(p), 1, 100 << 20); c.shmdt(ctypes.c_void_p(p))
""",
    "socket buffers": """
for _ in range(40):
    if os.fork() == 0:
        kept = []
        try:
            while True:
                pair = socket.socketpair(); kept.append(pair)
                for end in pair:
                    end.setblocking(False)
                    try:
                        while True: end.send(b'x' * 65536)
                    except BlockingIOError: pass
        except OSError: pass
        time.sleep(20); os._exit(0)
time.sleep(10)
""",
}


@pytest.mark.parametrize("hog", HOGS)
def test_memory_ends_at_the_groups_bound_with_the_watchs_message(box: NamespaceSandbox, hog: str) -> None:
    program = "import ctypes, mmap, os, socket, time\n" + HOGS[hog] + "print('all fit')"
    code, output = python(box, program, timeout=30)
    assert "all fit" not in output
    assert code == 137
    assert f"[killed: memory limit of {LIMITS.memory_bytes} bytes]" in output
    peak = int(_file(box, "memory.peak", "memory.max_usage_in_bytes"))
    assert peak <= LIMITS.memory_bytes + (32 << 20)  # type: ignore[operator]
    box.exec("rm -f /dev/shm/f*")
    assert python(box, "x = bytearray(b'1') * (100 << 20); print('fits')") == (0, "fits\n")
    assert box.cgroup_version() > 0


def test_a_fork_bomb_ends_at_the_groups_bound(box: NamespaceSandbox) -> None:
    box.exec(["bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 3"], timeout=3)
    assert int(_file(box, "pids.current")) <= 1
    assert box.exec("echo alive").output == "alive\n"
    assert box.cgroup_version() > 0


def test_who_ends_the_launcher_gains_nothing(box: NamespaceSandbox) -> None:
    for _ in range(3):
        box.exec("for pid in $(seq 2 20); do [ $pid = $$ ] || kill -9 $pid; done; kill -9 -1", timeout=20)
    assert box.cgroup_version() > 0
    code, output = python(box, HOGS["shared memory"].join(["import mmap\n", "print('all fit')"]), timeout=30)
    assert (code, "all fit" in output) == (137, False)


def test_nothing_in_the_group_outlives_its_command(box: NamespaceSandbox) -> None:
    program = (
        "import os, time\n"
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        for _ in range(30): time.sleep(0.1)\n"
        "        os._exit(0)\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"  # a chain: each link is a new process whose parent is gone
        "        os.setsid()\n"
        "        for _ in range(10):\n"
        "            if os.fork(): os._exit(0)\n"
        "        time.sleep(3)\n"
        "        os._exit(0)\n"
    )
    assert python(box, program)[0] == 0
    assert int(_file(box, "pids.current")) <= 1


def test_a_closed_sandbox_leaves_no_group(grouped: NamespaceSandbox) -> None:
    child = grouped.fork()
    child.exec("true")
    folders = child.cgroup_folders
    assert [Path(folder).is_dir() for folder in folders] == [True] * len(folders)
    child.close()
    deadline = time.monotonic() + 5
    while any(Path(folder).exists() for folder in folders) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [folder for folder in folders if Path(folder).exists()]


def test_a_program_that_ends_leaves_no_group(tmp_path: Path) -> None:
    _place()
    (tmp_path / "source").mkdir()
    owner = _start(tmp_path, "limits")
    assert owner.communicate(timeout=60)[0].startswith(b"1\n" if _place().version == 1 else b"2\n")
    deadline = time.monotonic() + 5
    while _groups(f"-{owner.pid}-") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _groups(f"-{owner.pid}-") == []


def test_the_next_start_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    _place()
    (tmp_path / "source").mkdir()
    owner = _start(tmp_path, "wait")
    assert owner.stdout is not None
    assert owner.stdout.readline().strip() in (b"1", b"2")
    for pid in _children(owner.pid):  # the zygote, which would tidy up
        os.kill(pid, signal.SIGKILL)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert _groups(f"-{owner.pid}-"), "or this test shows nothing"
    again = _start(tmp_path, "limits")
    assert again.communicate(timeout=60)[0]
    assert _groups(f"-{owner.pid}-") == []


@pytest.mark.parametrize("way", ["switched off", "not writable"])
def test_without_a_group_the_watch_keeps_the_limit(tmp_path: Path, way: str) -> None:
    (tmp_path / "source").mkdir()
    tmp_path.chmod(0o755)
    hidden = 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hidden, "sh"]
    inside = inside if way == "not writable" else []
    if inside and subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine has no user namespaces")
    owner = _start(tmp_path, "limits", before=inside, cgroup="" if inside else "off")
    output = owner.communicate(timeout=60)[0].decode()
    assert output.splitlines() == ["0", f"137 ['[killed: memory limit of {256 << 20} bytes]']"]


def _start(
    folder: Path, what: str, *, before: list[str] | None = None, cgroup: str = ""
) -> subprocess.Popen[bytes]:
    command = [
        *(before or []),
        sys.executable,
        "-c",
        _OPEN,
        str(folder / "source"),
        str(folder / "scratch"),
        what,
    ]
    env = {**os.environ, "SWE_AGENT_CGROUP": cgroup}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=env)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found
