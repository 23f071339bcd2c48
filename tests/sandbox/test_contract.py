"""The contract of `Sandbox`, over every kind and over forks of forks."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swe_agent.tools.errors import SandboxError, UsageError
from swe_agent.tools.sandbox import Sandbox, SandboxSpec, open_sandbox

Opener = Callable[..., Sandbox]


def test_a_string_goes_to_a_shell_and_a_sequence_is_argv(sandbox: Sandbox) -> None:
    assert sandbox.exec("echo $((1 + 2)) | tr 3 4").output == "4\n"
    assert sandbox.exec(["echo", "$((1 + 2))", "a b"]).output == "$((1 + 2)) a b\n"


def test_failure_is_data(sandbox: Sandbox) -> None:
    assert sandbox.exec("exit 7").exit_code == 7
    assert sandbox.exec("kill -TERM $$").exit_code == 128 + 15
    assert sandbox.exec(["no-such-program"]).exit_code == 127
    assert sandbox.exec("true", cwd="no/such/folder").exit_code != 0
    assert sandbox.exec("true").exit_code == 0


def test_stdout_and_stderr_are_merged_in_order(sandbox: Sandbox) -> None:
    assert sandbox.exec("echo a; echo b >&2; echo c").output == "a\nb\nc\n"


def test_output_that_is_not_text_is_replaced(sandbox: Sandbox) -> None:
    assert sandbox.exec(r"printf 'a\377b'").output == "a\ufffdb"


@pytest.mark.parametrize("size", [0, 5, 3 << 20])
def test_stdin_arrives_whole_and_no_stdin_is_empty(sandbox: Sandbox, size: int) -> None:
    assert sandbox.exec("wc -c", stdin=b"x" * size).output.strip() == str(size)
    assert sandbox.exec("wc -c").output.strip() == "0"


def test_stdin_nobody_reads_does_no_harm(sandbox: Sandbox) -> None:
    assert sandbox.exec("echo done", stdin=b"x" * (3 << 20)).output == "done\n"
    assert sandbox.exec("echo next").output == "next\n"


def test_timeout_kills_the_whole_group_and_keeps_the_output(sandbox: Sandbox) -> None:
    start = time.monotonic()
    result = sandbox.exec("echo before; (sleep 60; echo late > late.txt) & sleep 60", timeout=1)
    assert (result.exit_code, result.timed_out, result.output) == (124, True, "before\n")
    assert time.monotonic() - start < 15
    assert sandbox.exec("ls late.txt").exit_code != 0


def test_the_command_starts_at_the_root_and_cwd_is_relative_to_it(sandbox: Sandbox) -> None:
    assert sandbox.exec("pwd").output.strip() == str(sandbox.root)
    assert sandbox.exec("pwd", cwd="pkg").output.strip() == f"{sandbox.root}/pkg"
    assert sandbox.exec("pwd", cwd="/").output.strip() == "/"


def test_the_environment_is_clean(sandbox: Sandbox) -> None:
    names = {line.partition("=")[0] for line in sandbox.exec(["env"]).output.splitlines()}
    assert {"PATH", "HOME"} <= names
    assert not {name for name in names if "KEY" in name and not name.startswith("GIT_CONFIG")}
    assert "PYTEST_CURRENT_TEST" not in names  # the host has it while this runs
    assert sandbox.exec("echo $A $B", env={"A": "1", "B": "2 3"}).output == "1 2 3\n"


def test_extended_attributes_of_a_fork_stay_in_its_line(sandbox: Sandbox) -> None:
    """Its own forks may have them, and see the same files; what it was forked from and the patch never do."""
    mark = "import os; [os.setxattr(p, 'user.' + n, b'y') for p in ('run.sh', 'pkg') for n in ('mark', 'overlay.opaque')]"
    look = "import os; print([n for p in ('run.sh', 'pkg') for n in os.listxattr(p) if 'mark' in n])"
    with sandbox.fork() as fork:
        if fork.exec(["python3", "-c", mark]).exit_code != 0:
            pytest.skip("no extended attributes here")
        with fork.fork() as child:
            assert child.exec("ls pkg").output == sandbox.exec("ls pkg").output != ""
            assert (
                child.exec("git status --porcelain").output == sandbox.exec("git status --porcelain").output
            )
    assert sandbox.exec(["python3", "-c", look]).output == "[]\n"


def test_long_output_keeps_head_and_tail(sandbox: Sandbox) -> None:
    result = sandbox.exec("echo first; yes middle | head -c 3000000; echo; echo last")
    assert result.truncated
    assert result.output.startswith("first\n")
    assert result.output.endswith("last\n")
    assert len(result.output) < (64 << 10) + 200
    assert not sandbox.exec("echo short").truncated


def test_files_are_read_and_written(sandbox: Sandbox) -> None:
    sandbox.write_bytes("new/deep/file.bin", bytes(range(256)))
    assert sandbox.read_bytes("new/deep/file.bin") == bytes(range(256))
    assert sandbox.read_bytes(sandbox.root / "new/deep/file.bin", max_bytes=3) == b"\0\1\2"
    sandbox.write_bytes("new/deep/file.bin", b"short")
    assert sandbox.exec("cat new/deep/file.bin").output == "short"
    sandbox.write_bytes("empty", b"")
    assert sandbox.read_bytes("empty") == b""


def test_writing_keeps_the_mode_of_an_existing_file(sandbox: Sandbox) -> None:
    sandbox.write_bytes("run.sh", b"#!/bin/sh\necho again\n")
    assert sandbox.exec("./run.sh").output == "again\n"


def test_large_files_pass_both_ways(sandbox: Sandbox) -> None:
    data = bytes(range(256)) * (20 << 12)
    sandbox.write_bytes("large.bin", data)
    assert sandbox.read_bytes("large.bin") == data


def test_odd_file_names(sandbox: Sandbox) -> None:
    for name in ("with space", "new\nline", "-dash", "quo'te\"", "ünï/cödé", "$(id)"):
        sandbox.write_bytes(name, name.encode())
        assert sandbox.read_bytes(name) == name.encode()


def test_file_errors_are_those_of_the_builtin_family(sandbox: Sandbox) -> None:
    with pytest.raises(FileNotFoundError):
        sandbox.read_bytes("missing")
    with pytest.raises(IsADirectoryError):
        sandbox.read_bytes("pkg")
    with pytest.raises(IsADirectoryError):
        sandbox.write_bytes("pkg", b"")
    with pytest.raises(OSError, match=r"run\.sh"):
        sandbox.write_bytes("run.sh/below", b"")
    sandbox.exec("mkfifo pipe")
    with pytest.raises(PermissionError):
        sandbox.read_bytes("pipe")
    assert sandbox.exec("echo still here").output == "still here\n"


def test_git_works_and_sees_untracked_and_ignored_files(sandbox: Sandbox) -> None:
    assert sandbox.exec("git status --porcelain").output == "?? untracked.txt\n"
    assert sandbox.exec("cat build.log").output == "ignored\n"
    assert (
        sandbox.exec("git -c user.name=t -c user.email=t@localhost commit -qam x --allow-empty").exit_code
        == 0
    )


def test_a_fork_sees_the_moment_of_the_fork_and_nothing_later(sandbox: Sandbox) -> None:
    sandbox.write_bytes("shared.txt", b"before")
    sandbox.exec("rm run.sh; mkdir -p kept; echo 1 > kept/one; chmod 600 pkg/__init__.py")
    with sandbox.fork() as child:
        sandbox.write_bytes("shared.txt", b"parent after")
        sandbox.exec("echo 2 > kept/two; rm -r pkg")
        assert child.read_bytes("shared.txt") == b"before"
        assert child.exec("ls kept; ls run.sh 2>/dev/null; cat pkg/__init__.py").output == "one\nVALUE = 1\n"
        assert child.exec("stat -c %a pkg/__init__.py").output == "600\n"
        child.write_bytes("shared.txt", b"child after")
        child.exec("rm -r kept; echo 3 > child-only")
        assert sandbox.read_bytes("shared.txt") == b"parent after"
        assert sandbox.exec("ls kept").output == "one\ntwo\n"
        with pytest.raises(FileNotFoundError):
            sandbox.read_bytes("child-only")
    assert sandbox.read_bytes("shared.txt") == b"parent after"


def test_a_child_outlives_its_parent(kind: str, opener: Opener) -> None:
    parent = opener(kind)
    parent.write_bytes("a", b"1")
    child = parent.fork()
    with child, child.fork() as grandchild:
        parent.close()
        child.close()
        assert grandchild.read_bytes("a") == b"1"
        assert grandchild.exec("git status --porcelain a").output == "?? a\n"


def test_the_source_is_never_written(kind: str, opener: Opener, source: Path) -> None:
    def state() -> str:
        listing = ["find", source, "-type", "f", "-exec", "sha256sum", "{}", "+"]
        return subprocess.run(listing, check=True, capture_output=True, text=True).stdout

    before = state()
    sandbox = opener(kind)
    sandbox.exec("echo x >> run.sh; rm -r pkg; echo new > new; git add -A; git commit -qm x")
    with sandbox.fork() as child:
        child.exec("rm -rf .git; chmod -R 777 .")
    sandbox.close()
    assert state() == before


def test_closing_is_idempotent_and_a_closed_sandbox_says_so(
    kind: str, opener: Opener, tmp_path: Path
) -> None:
    sandbox = opener(kind)
    with sandbox.fork() as child:
        child.exec("echo x > file; mkdir locked; chmod 0 locked")
    sandbox.close()
    sandbox.close()
    for use in (lambda: sandbox.exec("true"), lambda: sandbox.read_bytes("run.sh"), sandbox.fork):
        with pytest.raises(SandboxError):
            use()
    assert list((tmp_path / "scratch").glob("*")) == []


def test_a_very_deep_tree_is_removed_too(kind: str, opener: Opener, tmp_path: Path) -> None:
    with opener(kind) as sandbox:
        sandbox.exec("p=$(printf 'd/%.0s' $(seq 900)); for i in 1 2 3; do mkdir -p $p && cd $p; done")
        assert sandbox.exec("cd d/d/d && pwd").output.endswith("d/d/d\n")
    assert list((tmp_path / "scratch").glob("*")) == []


def test_closing_ends_a_command_that_another_thread_waits_for(kind: str, opener: Opener) -> None:
    sandbox = opener(kind)
    caught: list[BaseException | int] = []

    def wait() -> None:
        try:
            caught.append(sandbox.exec("sleep 60").exit_code)
        except SandboxError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.5)
    start = time.monotonic()
    sandbox.close()
    thread.join(20)
    assert not thread.is_alive()
    assert time.monotonic() - start < 20
    assert caught[0] == 137 or isinstance(caught[0], SandboxError)


def test_forks_run_in_parallel_from_many_threads(kind: str, opener: Opener) -> None:
    sandbox = opener(kind)
    results: list[str] = []

    def work(number: int) -> None:
        with sandbox.fork() as child:
            child.write_bytes("n", str(number).encode())
            results.append(child.exec("sleep 0.2; cat n").output)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [str(number) for number in range(8)]


def test_a_kind_that_does_not_exist_or_a_source_that_is_missing(kind: str, tmp_path: Path) -> None:
    spec = SandboxSpec(tmp_path / "missing", tmp_path / "scratch", image="no-such-image")
    with pytest.raises(UsageError, match="nope"):
        open_sandbox("nope", spec)
    with pytest.raises(SandboxError):
        open_sandbox(kind, spec)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize("kind", ["namespace", "plain"])
def test_a_full_disk_of_the_host_is_no_answer_of_a_command(kind: str, opener: Opener, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(small)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        with opener(kind, scratch=small / "scratch") as sandbox:
            assert sandbox.exec("echo x > a").exit_code == 0
            with pytest.raises(SandboxError, match="free some space"):
                sandbox.exec("head -c 32M /dev/zero > b; true")
            with pytest.raises(SandboxError, match="free some space"):
                sandbox.write_bytes("c", bytes(1 << 20))
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_what_is_told_of_equal_forks_is_equal_and_holds_in_any_of_them(sandbox: Sandbox) -> None:
    told = []
    for _ in range(2):
        with sandbox.fork() as child:
            told.append(child.placeless(child.exec('pwd; echo "at $PWD/run.sh:1"; echo "$PWD-else"').output))
            place, line, _ = told[-1].splitlines()
            path = line.removeprefix("at ").removesuffix(":1")
            assert child.exec(f"cd {place} && sh {path}").output == "ran\n"
    assert told[0].splitlines()[:2] == told[1].splitlines()[:2]
    assert told[0].splitlines()[2].startswith("/")
