"""probes: attempts to get out of a sandbox, to take the machine down, or to cheat who runs it; each for real.

A probe is a program that runs inside and prints `BROKEN` when it got through. A wall that gives way up to a
bound (memory, disk, processes) is `limited`. What the host must still have afterwards is looked at by the host.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import SandboxError
from .base import Limits, Sandbox, SandboxSpec
from .factory import open_sandbox
from .probe_programs import PROGRAMS, ProbeProgram

Verdict = Literal["held", "limited", "not held", "not tried"]
_LIMITS = Limits(
    wall_s=60, memory_bytes=512 << 20, processes=64, cpu_s=60, file_bytes=64 << 20, open_files=256,
    disk_bytes=128 << 20, output_bytes=64 << 10,
)  # fmt: skip
_TIMEOUT_S = 25.0
_INSIDE = "inside\n"


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt in one kind of sandbox."""

    attack: str
    kind: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Host:
    """What is attacked: a private file, one to overwrite, a port and an abstract socket that listen."""

    secret: Path
    target: Path
    port: int
    abstract: str

    def fill(self, code: str) -> str:
        values = {
            "SECRET": str(self.secret), "TARGET": str(self.target), "PORT": str(self.port),
            "ABSTRACT": self.abstract, "PID": str(os.getpid()),
        }  # fmt: skip
        for name, value in values.items():
            code = code.replace(f"@{name}@", value)
        return code


@contextmanager
def _host(folder: Path) -> Iterator[_Host]:
    secret, target = folder / "private" / "secret.txt", folder / "private" / "target.txt"
    secret.parent.mkdir(mode=0o755)
    secret.write_text("the-hosts-secret\n")
    target.write_text("untouched\n")
    name = f"swe-agent-probe-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        yield _Host(secret, target, server.getsockname()[1], name)


def probe(kinds: dict[str, str | None], on_line: Callable[[str], None] = lambda line: None) -> list[Tried]:
    """Run every program in each kind of sandbox (kind → container image or None). Takes about a minute a kind;
    programs that would harm a machine without walls are not tried in `plain`."""
    tried: list[Tried] = []
    for kind, image in kinds.items():
        on_line(f"probing {kind}")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swe-agent-probe-")))
            folder.chmod(0o755)
            host = stack.enter_context(_host(folder))
            try:
                base = stack.enter_context(_open(kind, image, folder))
            except (SandboxError, OSError) as error:
                tried += [Tried(program.attack, kind, "not tried", str(error)) for program in PROGRAMS]
                continue
            tried += [_try(base, program, host) for program in PROGRAMS]
    return tried


def _open(kind: str, image: str | None, folder: Path) -> Sandbox:
    source = folder / "source"
    source.mkdir()
    (source / "file.txt").write_text(_INSIDE)
    interpreter = Path(sys.base_prefix)
    shown = () if image or interpreter.is_relative_to("/usr") else (interpreter,)
    spec = SandboxSpec(source, folder / "scratch", read_only=shown, limits=_LIMITS, image=image)
    return open_sandbox(kind, spec)


def _try(base: Sandbox, program: ProbeProgram, host: _Host) -> Tried:
    if program.harmful and not base.walls:
        return Tried(program.attack, base.kind, "not held", "not tried: it would harm this machine")
    python = "python3"
    if base.kind != "docker":
        python = str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
    try:
        with base.fork() as box:
            done = box.exec([python, "-I", "-S", "-c", host.fill(program.code)], timeout=_TIMEOUT_S)
            alive = box.exec("cat file.txt", timeout=30).output == _INSIDE
        alive = alive and base.exec("cat file.txt", timeout=30).output == _INSIDE
    except SandboxError as error:
        return Tried(program.attack, base.kind, "not held", f"the sandbox was lost: {error}")
    if done.exit_code in (126, 127):
        return Tried(program.attack, base.kind, "not tried", "no Python inside")
    if host.target.read_text() != "untouched\n":
        host.target.write_text("untouched\n")
        return Tried(program.attack, base.kind, "not held", "a file of the host was written")
    if "BROKEN" in done.output or not alive:
        return Tried(program.attack, base.kind, "not held", done.output.strip()[-200:])
    verdict: Verdict = "limited" if program.bounded else "held"
    return Tried(program.attack, base.kind, verdict, done.output.strip()[-200:])


def table(tried: list[Tried]) -> str:
    """Attack × kind as Markdown, with the counts below."""
    kinds = list(dict.fromkeys(one.kind for one in tried))
    found = {(one.attack, one.kind): one.verdict for one in tried}
    lines = [
        "| attack | " + " | ".join(f"`{kind}`" for kind in kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for program in PROGRAMS:
        lines.append(
            f"| {program.attack} | " + " | ".join(found[program.attack, kind] for kind in kinds) + " |"
        )
    for kind in kinds:
        of = [one.verdict for one in tried if one.kind == kind]
        counts = ", ".join(
            f"{of.count(word)} {word}" for word in ("held", "limited", "not held", "not tried") if word in of
        )
        lines += ["", f"`{kind}`: {counts} of {len(of)}."]
    return "\n".join(lines)
