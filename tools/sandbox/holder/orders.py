"""What the product sends to the zygote and the holders, as marshalled dictionaries (see `protocol`).

For the type checker alone: the holder's processes do not import it.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class CommandLimits(TypedDict):
    """Bytes and processor seconds; None means no limit of that kind."""

    memory_bytes: int | None
    processes: int | None
    cpu_s: int | None
    file_bytes: int | None
    open_files: int | None
    disk_bytes: int | None
    nproc: int | None
    """RLIMIT_NPROC of a command."""


class HolderLimits(CommandLimits):
    network: bool


class HolderOrder(TypedDict):
    """The view of one holder and who it is to be. Layers are named relative to the family's directory."""

    family: str
    source: str | None
    """Host path of the repository; None where a copy of it is a layer."""
    root: str
    repo: list[str]
    """Frozen layers of the repository, newest first."""
    private: list[str]
    layer: str
    """The fresh upper directory."""
    mode: int
    """Permission bits of the repository's root."""
    system: list[str]
    read_only: list[str]
    writable: list[str]
    mounts: dict[str, str]
    """Path in the view → host path."""
    over: list[str]
    """Paths of the view that lie inside an overlay."""
    network: bool
    limits: CommandLimits
    shm_bytes: int
    uid: int | None
    """Host user to step down to; None: the product's own."""
    owners: list[tuple[int, int]]
    """(uid, gid) whose files are shown as the sandbox's own."""


class SpareOrder(HolderOrder):
    trees: list[str]
    """Names of the detached trees that come with it, in the order of their descriptors."""


class Command(TypedDict):
    """What is to be run; `cwd` is absolute."""

    argv: list[str]
    cwd: str
    env: dict[str, str]


class BoundCommand(Command):
    limits: HolderLimits


class ExecRequest(Command):
    op: Literal["exec"]
    timeout: float
    """Wall seconds."""
    output_bytes: int


class BoundExec(ExecRequest):
    limits: HolderLimits


class SessionRequest(Command):
    op: Literal["session"]


class BoundSession(SessionRequest):
    limits: HolderLimits


class EndSessionRequest(TypedDict):
    op: Literal["end_session"]
    leader: int


class ReadRequest(TypedDict):
    op: Literal["read"]
    path: str


class WriteRequest(TypedDict):
    op: Literal["write"]
    path: str
    size: int


class FreezeRequest(TypedDict):
    op: Literal["freeze"]
    layer: str


Request = ExecRequest | SessionRequest | EndSessionRequest | ReadRequest | WriteRequest | FreezeRequest
"""What a running holder is asked."""
