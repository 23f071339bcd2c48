"""What only the namespace sandbox has: binds, layers, owners, sessions, and no daemon to lean on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import Limits, Sandbox

Opener = Callable[..., Sandbox]


def test_a_chain_of_fifty_forks_keeps_every_generation(opener: Opener) -> None:
    chain = [opener("namespace")]
    for level in range(50):
        chain[-1].write_bytes(f"level-{level}", str(level).encode())
        chain[-1].write_bytes("latest", str(level).encode())
        chain.append(chain[-1].fork())
    last = chain[-1]
    assert last.exec("ls level-* | wc -l; cat latest").output == "50\n49"
    for sandbox in chain[:-1]:
        sandbox.close()
    assert last.exec("cat level-* | wc -c; git status --porcelain | wc -l").output == "90\n52\n"
    last.close()


def test_two_hundred_siblings_at_once(opener: Opener, tmp_path: Path) -> None:
    parent = opener("namespace")
    parent.write_bytes("shared", b"x")
    siblings = [parent.fork() for _ in range(200)]
    try:
        for number, sibling in enumerate(siblings):
            sibling.write_bytes("own", str(number).encode())
        assert [int(sibling.read_bytes("own")) for sibling in siblings] == list(range(200))
        assert siblings[137].exec("cat shared own").output == "x137"
    finally:
        for sibling in siblings:
            sibling.close()
    parent.close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_fork_also_has_its_own_tmp_and_home(opener: Opener) -> None:
    parent = opener("namespace")
    parent.exec("echo 1 > /tmp/a; mkdir -p ~/.config; echo 1 > ~/.config/b")
    with parent.fork() as child:
        assert child.exec("cat /tmp/a ~/.config/b").output == "1\n1\n"
        child.exec("echo 2 > /tmp/a; rm -r ~/.config")
        parent.exec("echo 3 > /tmp/c")
        assert child.exec("ls /tmp").output == "a\n"
    assert parent.exec("cat /tmp/a ~/.config/b").output == "1\n1\n"


def test_paths_are_shown_read_only_or_writable(opener: Opener, tmp_path: Path) -> None:
    shown, built = tmp_path / "shown", tmp_path / "built"
    shown.mkdir()
    built.mkdir()
    (shown / "tool").write_text("#!/bin/sh\necho tool\n")
    (shown / "tool").chmod(0o755)
    sandbox = opener("namespace", read_only=(shown,), writable=(built,))
    with sandbox.fork() as child:
        assert child.exec([str(shown / "tool")]).output == "tool\n"
        assert child.exec(f"echo x > {shown}/tool").exit_code != 0
        assert child.exec(f"rm {shown}/tool").exit_code != 0
        child.write_bytes("dirty", b"1")
        with child.fork() as grandchild:
            assert (
                grandchild.exec(f"mkdir {built}/d && echo made > {built}/d/file && ls {shown}").output
                == "tool\n"
            )
            assert child.exec([str(shown / "tool")]).output == "tool\n", "still there after being forked"
    made = built / "d" / "file"
    assert made.read_text() == "made\n"
    assert made.stat().st_uid == os.geteuid()


def test_files_of_a_second_owner_can_be_changed_too(opener: Opener, source: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving files to another user needs root")
    os.chown(source / "run.sh", 12345, 12345)
    sandbox = opener("namespace")
    with sandbox.fork() as child:
        assert child.exec("echo changed > run.sh && chmod 700 run.sh && cat run.sh").output == "changed\n"
    assert (source / "run.sh").stat().st_uid == 12345


def test_the_network_is_there_when_it_was_asked_for(opener: Opener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = f"exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]} && echo reached"
        assert opener("namespace", network=True).exec(["bash", "-c", program]).output == "reached\n"
        assert opener("namespace").exec(["bash", "-c", program]).exit_code != 0


def test_a_session_outlives_commands_and_its_children_do_not_outlive_it(opener: Opener) -> None:
    sandbox = opener("namespace")
    program = "(setsid sleep 1000 &); while read -r line; do echo got $line; cat state; done"
    session = sandbox.open_session(["bash", "-c", program])
    sandbox.exec("echo 1 > state; setsid sleep 1000 &")
    session.send(b"a")
    assert (session.receive(10), session.receive(10)) == (b"got a", b"1")
    assert sandbox.exec("sleep 9", timeout=0.2).timed_out
    sandbox.write_bytes("state", b"2\n")
    session.send(b"b")
    assert (session.receive(10), session.receive(10)) == (b"got b", b"2")
    with pytest.raises(TimeoutError):
        session.receive(0.1)
    session.close()
    assert sandbox.exec("grep -l sleep /proc/[0-9]*/comm | wc -l").output == "0\n"
    with pytest.raises(SandboxError, match="no-such-program"):
        sandbox.open_session(["no-such-program"])


def test_a_session_never_writes_into_what_a_fork_shares(opener: Opener) -> None:
    sandbox = opener("namespace")
    session = sandbox.open_session(["bash", "-c", "while read -r line; do echo $line > file; echo ok; done"])
    session.send(b"before")
    session.receive(10)
    with sandbox.fork() as child:
        with pytest.raises(SandboxError):
            session.receive(10)
        assert child.read_bytes("file") == b"before\n"
    session.close()


def test_a_session_is_kept_within_its_memory(opener: Opener) -> None:
    sandbox = opener("namespace", limits=Limits(memory_bytes=64 << 20))
    session = sandbox.open_session(
        [
            "bash",
            "-c",
            "for i in 1 2 3; do ((head -c 40M /dev/zero; sleep 60) | tail -c 39M) & done; wait; sleep 99",
        ]
    )
    with pytest.raises(SandboxError):
        session.receive(30)
    session.close()
    assert sandbox.exec("echo next").output == "next\n"


def test_a_fork_does_not_depend_on_the_process_that_waits_for_it(opener: Opener) -> None:
    """The zygote keeps a process ready; one that was killed meanwhile is noticed and done without."""
    sandbox = opener("namespace")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        waiting = _spares(sandbox)
        if waiting:
            break
        time.sleep(0.05)
    assert waiting
    for pid in waiting:
        os.kill(pid, signal.SIGKILL)
    with sandbox.fork() as child, child.fork() as grandchild:
        assert grandchild.exec("cat untracked.txt").output == "untracked\n"


def _spares(sandbox: Sandbox) -> list[int]:
    """Processes 1 of sandboxes that serve nobody yet: children of the zygote that are not its holders."""
    holder: int = sandbox._holder.pid  # pyright: ignore[reportAttributeAccessIssue]
    zygote = _parent(holder)
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != holder and _parent(int(entry.name)) == zygote:
            with contextlib.suppress(OSError):
                if (entry / "ns/pid").readlink() != Path("/proc/self/ns/pid").readlink():
                    found.append(int(entry.name))
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_a_killed_holder_is_named_and_the_others_go_on(opener: Opener) -> None:
    sandbox = opener("namespace")
    child = sandbox.fork()
    os.kill(child._holder.pid, signal.SIGKILL)  # pyright: ignore[reportAttributeAccessIssue]
    with child, pytest.raises(SandboxError, match="killed from outside"):
        child.exec("true")
    assert sandbox.exec("echo fine").output == "fine\n"
    with sandbox.fork() as again:
        assert again.exec("echo fine").output == "fine\n"


def test_a_killed_zygote_is_replaced(opener: Opener) -> None:
    from swe_agent.tools.sandbox.spawner import ZYGOTE

    sandbox = opener("namespace")
    process = ZYGOTE._process
    assert process is not None
    process.kill()
    process.wait()
    with sandbox.fork() as child:
        assert child.exec("cat untracked.txt").output == "untracked\n"


def test_a_process_that_forks_has_a_zygote_of_its_own(source: Path, tmp_path: Path, opener: Opener) -> None:
    opener("namespace").close()
    code = (
        "import os, sys; from pathlib import Path\n"
        "from swe_agent.tools.sandbox import SandboxSpec, open_sandbox\n"
        "spec = SandboxSpec(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "first = open_sandbox('namespace', spec)\n"
        "if os.fork() == 0:\n"
        "    with open_sandbox('namespace', spec) as mine: print(mine.exec('echo child').output, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait(); print(first.exec('echo parent').output); first.close()\n"
    )
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "forked")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["child", "parent"], done.stderr
    assert list((tmp_path / "forked").iterdir()) == []


def test_an_exit_without_closing_leaves_nothing(source: Path, tmp_path: Path, opener: Opener) -> None:
    opener("namespace").close()
    code = (
        "import sys; from pathlib import Path\n"
        "from swe_agent.tools.sandbox import SandboxSpec, open_sandbox\n"
        "kept = open_sandbox('namespace', SandboxSpec(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "child = kept.fork(); child.write_bytes('a', b'1')\n"
    )
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "left")]
    subprocess.run(command, check=True, timeout=60)
    deadline = time.monotonic() + 5
    while list((tmp_path / "left").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list((tmp_path / "left").iterdir()) == []


@pytest.mark.parametrize("root", ["/", "/usr/x", "/tmp/x", "relative"])
def test_a_root_that_would_cover_the_system_is_refused(opener: Opener, root: str) -> None:
    with pytest.raises(SandboxError, match="choose a path like /testbed"):
        opener("namespace", root=PurePosixPath(root))
