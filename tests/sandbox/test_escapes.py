"""Attempts to get out of a walled sandbox or to take the machine down from inside, each as a command.

After every attempt the next command must work, and the host must be as it was.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox.walls import SECRET, python

from swe_agent.tools.sandbox import Sandbox

# What must not be seen


def test_the_hosts_files_are_not_there(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "record.jsonl").write_text("a record")
    for path in (tmp_path / "record.jsonl", Path(__file__), Path("/etc/shadow")):
        assert box.exec(["cat", str(path)]).exit_code != 0
    home = Path.home()
    shown = {part for part in Path(sys.base_prefix).parts if Path(sys.base_prefix).is_relative_to(home)}
    private = {entry.name for entry in home.iterdir()} - shown - {".bashrc", ".profile", ".cache"}
    assert not private & set(box.exec(["ls", "-A", str(home)]).output.split())
    for path in (tmp_path, Path(__file__).parent):
        assert box.exec(["ls", str(path)]).exit_code != 0
    with pytest.raises(OSError, match=r"record\.jsonl"):
        box.read_bytes(str(tmp_path / "record.jsonl"))


def test_another_fork_is_not_there(box: Sandbox, base: Sandbox) -> None:
    with base.fork() as sibling:
        sibling.exec("echo fork-secret > secret.txt; echo fork-secret > /tmp/secret.txt")
        found = box.exec(
            "grep -rls fork-secret / --include=secret.txt --exclude-dir=proc --exclude-dir=usr", timeout=60
        )
        assert found.output.strip() == ""
        assert sibling.exec("cat secret.txt").output == "fork-secret\n"


def test_no_process_shows_the_hosts_environment(box: Sandbox) -> None:
    found = box.exec("cat /proc/1/environ /proc/*/environ /proc/self/environ 2>/dev/null; env")
    assert SECRET not in found.output
    assert "PYTEST_CURRENT_TEST" not in found.output
    if box.kind == "namespace":
        assert box.exec("cat /proc/1/environ").exit_code != 0
        assert box.exec("ls /proc/1/root/ /proc/1/fd").exit_code != 0


def test_only_the_sandboxs_processes_are_there(box: Sandbox) -> None:
    listed = box.exec("ls /proc").output.split()
    assert len([name for name in listed if name.isdigit()]) < 8


def test_no_socket_of_the_host_is_there(box: Sandbox) -> None:
    for path in (
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/systemd",
    ):
        assert box.exec(["ls", path]).exit_code != 0


# The network


def test_the_hosts_loopback_is_out_of_reach_and_the_sandbox_has_its_own(box: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 5).close()  # the host itself reaches it
        code, output = python(box, f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        assert code == 1
        assert "refused" in output
    code, output = python(
        box,
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(s.getsockname(), 5); print('own')",
    )
    assert (code, output) == (0, "own\n")


def test_abstract_sockets_of_the_host_are_out_of_reach(box: Sandbox) -> None:
    name = f"\0swe-agent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        code, output = python(box, f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")
        assert code == 1
        assert "refused" in output


@pytest.fixture
def other_host() -> Iterator[str]:
    """Address of a host that the test machine reaches: the far end of a pair of interfaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace to talk to needs root and ip(8)")
    name, near, far = f"t{os.getpid()}", "10.231.77.1", "10.231.77.2"
    commands = [
        f"ip netns add {name}",
        f"ip link add {name}a type veth peer name {name}b netns {name}",
        f"ip addr add {near}/30 dev {name}a",
        f"ip link set {name}a up",
        f"ip -n {name} addr add {far}/30 dev {name}b",
        f"ip -n {name} link set {name}b up",
    ]
    server = None
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True)
            if done.returncode != 0:
                pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
        program = f"import socket, time; s = socket.create_server(('{far}', 8077)); print(1, flush=True); time.sleep(99)"
        server = subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-c", program], stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        server.stdout.readline()
        yield far
    finally:
        if server is not None:
            server.kill()
            server.wait()
            assert server.stdout is not None
            server.stdout.close()
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", f"{name}a"], capture_output=True)


def test_another_host_is_out_of_reach(box: Sandbox, other_host: str) -> None:
    socket.create_connection((other_host, 8077), 5).close()  # the host itself reaches it
    code, output = python(box, f"import socket; socket.create_connection(({other_host!r}, 8077), 5)")
    assert code == 1
    assert "unreachable" in output


def test_rare_families_of_sockets_are_refused(box: Sandbox) -> None:
    program = (
        "import socket\n"
        "def opens(family, kind):\n"
        "    try:\n"
        "        socket.socket(family, kind).close(); return True\n"
        "    except OSError as error:\n"
        "        assert error.errno == 97, error; return False\n"
        "print([family for family in range(60) if family not in (1, 2, 10, 16) and any(opens(family, kind) for kind in (1, 2, 3, 5))])\n"
        "print(all(opens(family, 1) for family in (1, 2)), len(socket.socketpair()))\n"
    )
    assert python(box, program) == (0, "[]\nTrue 2\n")


# Writing outside, and becoming more


def test_nothing_outside_can_be_written(box: Sandbox) -> None:
    mark = f"swe-agent-escape-{os.getpid()}"
    box.exec(
        f"for d in / /usr /usr/bin /etc /var/tmp /tmp /home /root /dev/shm /run; do echo x > $d/{mark}; done"
    )
    for folder in ("/", "/usr", "/usr/bin", "/etc", "/var/tmp", "/tmp", "/home", "/root", "/dev/shm", "/run"):
        assert not os.path.exists(f"{folder}/{mark}")  # noqa: PTH110 - Path.exists raises where it may not look
    if box.kind == "namespace":
        assert box.exec(f"echo x > /usr/bin/{mark}").exit_code != 0
        assert box.exec("echo x > /proc/sys/kernel/core_pattern").exit_code != 0


def test_links_lead_nowhere(box: Sandbox, tmp_path: Path) -> None:
    target = tmp_path / "target.txt"
    target.write_text("host")
    box.exec(["ln", "-s", str(target), "link"])
    box.exec(["ln", "-s", "/proc/1/root" + str(target), "deep"])
    box.exec(["ln", "-s", "../" * 40 + str(target)[1:], "up"])
    for name in ("link", "deep", "up"):
        with pytest.raises(OSError, match=name):
            box.read_bytes(name)
        with contextlib.suppress(OSError):
            box.write_bytes(name, b"owned")
        box.exec(f"echo owned > {name}")
    box.exec("ln /etc/passwd hard; echo owned >> hard; ln /usr/bin/env hard2; echo owned >> hard2")
    assert target.read_text() == "host"
    assert "owned" not in Path("/etc/passwd").read_text()
    assert not Path("/usr/bin/env").read_bytes().endswith(b"owned\n")


def test_the_product_never_follows_a_link_of_the_sandbox_on_the_host(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    with box.fork() as child:
        child.exec(f"mkdir -p d; ln -s {tmp_path}/precious d/link; ln -s {tmp_path}/precious /tmp/link")
    assert (tmp_path / "precious" / "file").read_text() == "kept"


_CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    done = getattr(libc, name)(*args)
    print(name, 'DONE' if done >= 0 else os.strerror(ctypes.get_errno()))
os.makedirs('/tmp/m', exist_ok=True)
call('mount', b'tmpfs', b'/tmp/m', b'tmpfs', 0, None)
call('mount', b'/', b'/tmp/m', None, 4096, None)
call('umount2', b'/proc', 2)
call('unshare', 0x10000000)
call('unshare', 0x00020000)
call('setns', os.open('/proc/self/ns/mnt', os.O_RDONLY), 0)
call('chroot', b'/tmp')
call('sethostname', b'x', 1)
call('ptrace', 16, 1, 0, 0)
number = {'x86_64': (250, 248, 321, 304), 'aarch64': (219, 217, 280, 265)}[os.uname().machine]
libc.syscall.restype = ctypes.c_long
for what, nr, args in (
    ('keyctl', number[0], (0, -3, 1)), ('add_key', number[1], (b'user', b'a', b'b', 1, -3)),
    ('bpf', number[2], (0, 0, 0)), ('open_by_handle_at', number[3], (-100, 0, 0)), ('open_tree', 428, (-100, b'/', 1)),
):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(nr), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    print(what, 'DONE' if done >= 0 else os.strerror(ctypes.get_errno()))
try:
    os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0))
    print('mknod DONE')
except OSError as error:
    print('mknod', error.strerror)
try:
    os.setuid(0)
    print('setuid', 'DONE' if os.getuid() == 0 else 'no')
except OSError as error:
    print('setuid', error.strerror)
"""


def test_calls_that_change_the_walls_are_refused(box: Sandbox) -> None:
    code, output = python(box, _CALLS)
    assert code == 0, output
    assert "DONE" not in output, output


def test_there_are_no_capabilities_and_none_can_be_gained(box: Sandbox) -> None:
    status = box.exec("cat /proc/self/status").output
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    if box.kind == "namespace":
        mapping = box.exec("cat /proc/self/uid_map").output.split()
        assert mapping[1] != "0", "the sandbox's user is not root on the host"


def test_no_process_exempts_itself_from_the_lack_of_memory(box: Sandbox) -> None:
    for value in ("-1000", "-1"):
        assert box.exec(f"echo {value} > /proc/self/oom_score_adj").exit_code != 0


@pytest.mark.parametrize("base", ["namespace"], indirect=True)
def test_limits_of_other_processes_are_out_of_reach(box: Sandbox) -> None:
    program = (
        "import resource\n"
        "for pid in (1, 2):\n"
        "    try: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0)); print('set', pid)\n"
        "    except PermissionError: pass\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    assert python(box, program) == (0, "(100, 100)\n")


def test_signals_do_not_reach_the_parent(box: Sandbox) -> None:
    box.exec("kill -KILL 1; kill -TERM 1; kill -INT 1; kill -STOP 1; kill -HUP 1; kill -SEGV 1")
    assert box.exec("echo alive").output == "alive\n"
    box.exec(f"kill -KILL {os.getpid()}; kill -KILL {os.getppid()}")
    box.exec("kill -KILL -1")
    assert box.exec("echo alive").output == "alive\n"
