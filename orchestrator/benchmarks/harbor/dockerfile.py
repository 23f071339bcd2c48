"""Dockerfile → the steps that a namespace can carry out, or why it cannot.

A namespace has this machine's /usr, read-only, and one user. It can copy files, set variables and run
commands below directories of the task's own; it cannot install packages or be another distribution.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_LIKE_HOST = ("scratch", "debian", "ubuntu", "buildpack-deps", "bash")
_NOTHING = ("LABEL", "EXPOSE", "MAINTAINER", "STOPSIGNAL", "CMD", "VOLUME", "HEALTHCHECK")
INSTALLS = re.compile(
    r"(?:^|[\s;&|(])(apt|apt-get|apk|dnf|yum|microdnf|pacman|zypper|useradd|adduser|groupadd|addgroup|chown|sudo|"
    r"su|systemctl|npm\s+(?:i|install)\s+-g|(?:uv\s+)?pip3?\s+install|uvx|uv\s+(?:run|sync)|curl|wget)(?=\s|$)"
)
"""What needs root or another machine."""
_SYSTEM = (
    "usr",
    "etc",
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "proc",
    "dev",
    "sys",
    "var",
    "run",
    "boot",
    "home",
)


class NotNative(Exception):
    """Why a Dockerfile needs a container engine."""


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY or ADD of files of the context. `target` is absolute; ending in `/` it is a directory."""

    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Run:
    """RUN, in `cwd`."""

    command: str
    cwd: str


@dataclass(frozen=True, slots=True)
class NativeImage:
    """What stands for the image: steps in order, the directories they need, the variables."""

    workdir: str
    steps: tuple[Copy | Run, ...] = ()
    env: dict[str, str] = field(default_factory=dict[str, str])
    directories: tuple[str, ...] = ()
    """Directories that exist in it: every WORKDIR."""

    @property
    def tops(self) -> tuple[str, ...]:
        """Top directories that must be writable."""
        paths = [
            self.workdir,
            *self.directories,
            *(step.target for step in self.steps if isinstance(step, Copy)),
        ]
        return tuple(dict.fromkeys(top_of(path) for path in paths))


def top_of(path: str) -> str:
    """`/app/src` → `/app`. Raises: NotNative for a path that belongs to the system."""
    parts = PurePosixPath(path).parts
    if len(parts) < 2:
        raise NotNative("it works in /")
    if parts[1] in _SYSTEM:
        raise NotNative(f"it writes to /{'/'.join(parts[1:3])}")
    return f"/{parts[1]}"


def native_image(text: str, *, python: str) -> NativeImage:
    """Read a Dockerfile. `python` is this machine's `3.11`. Raises: NotNative."""
    reader = _Reader(python)
    for word, rest in instructions(text):
        reader.take(word, rest)
    if not reader.started:
        raise NotNative("it has no FROM")
    image = NativeImage(reader.workdir, tuple(reader.steps), reader.env, tuple(reader.directories))
    image.tops  # noqa: B018 - raises for a path of the system
    return image


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction words and their arguments; comments gone, continuation lines joined."""
    lines: list[str] = []
    pending = ""
    for raw in text.splitlines():
        if raw.lstrip().startswith("#"):
            continue
        if raw.rstrip().endswith("\\"):
            pending += raw.rstrip()[:-1] + " "
            continue
        if line := (pending + raw).strip():
            lines.append(line)
        pending = ""
    if pending.strip():
        lines.append(pending.strip())
    parts = [line.partition(" ") for line in lines]
    return [(word.upper(), rest.strip()) for word, _, rest in parts]


class _Reader:
    def __init__(self, python: str) -> None:
        self._python = python
        self._arguments: dict[str, str] = {}
        self.started = False
        self.workdir = "/"
        self.env: dict[str, str] = {}
        self.steps: list[Copy | Run] = []
        self.directories: list[str] = []

    def take(self, word: str, rest: str) -> None:
        if word in _NOTHING:
            return
        reader = getattr(self, f"_{word.lower()}", None)
        if reader is None or word not in ("FROM", "ARG", "ENV", "WORKDIR", "COPY", "ADD", "RUN", "USER"):
            raise NotNative(f"{word} is not carried out in a namespace")
        reader(rest)

    def _filled(self, text: str) -> str:
        known = {**self._arguments, **self.env}

        def value(found: re.Match[str]) -> str:
            name, default = found[1] or found[3], found[2]
            return known.get(name) or (default[2:] if default else "")

        return re.sub(r"\$\{(\w+)(:-[^}]*)?\}|\$(\w+)", value, text)

    def _from(self, rest: str) -> None:
        if self.started:
            raise NotNative("it has several stages")
        self.started = True
        words = [word for word in self._filled(rest).split() if not word.startswith("--")]
        name, _, tag = words[0].rpartition("/")[2].partition("@")[0].partition(":")
        if name == "python":
            wanted = re.match(r"3\.\d+", tag)
            if not wanted or wanted[0] != self._python:
                raise NotNative(f"FROM {words[0]}: this machine has python {self._python}")
        elif name not in _LIKE_HOST:
            raise NotNative(f"FROM {words[0]} is another system than this machine")

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self._arguments.setdefault(name.strip(), self._filled(value.strip().strip("'\"")))

    def _env(self, rest: str) -> None:
        if "=" not in rest.split()[0]:
            name, _, value = rest.partition(" ")
            self.env[name] = self._filled(value.strip())
            return
        for word in shlex.split(rest):
            name, _, value = word.partition("=")
            self.env[name] = self._filled(value)

    def _workdir(self, rest: str) -> None:
        self.workdir = str(PurePosixPath(self.workdir) / self._filled(rest.strip("'\"")))
        self.directories.append(self.workdir)

    def _user(self, rest: str) -> None:
        raise NotNative(f"USER {rest}: a namespace has one user")

    def _copy(self, rest: str) -> None:
        words = self._words(rest)
        flags = [word for word in words if word.startswith("--")]
        for flag in flags:
            if not flag.startswith(("--chmod=", "--chown=root", "--chown=0", "--link")):
                raise NotNative(f"COPY {flag} is not carried out in a namespace")
            if flag.startswith("--chmod="):
                raise NotNative("COPY --chmod is not carried out in a namespace")
        paths = [self._filled(word) for word in words if not word.startswith("--")]
        if len(paths) < 2 or any("<<" in path for path in paths):
            raise NotNative(f"COPY {rest} is not understood")
        *sources, target = paths
        whole = str(PurePosixPath(self.workdir) / target)
        directory = target.endswith(("/", "/.")) or target == "." or len(sources) > 1
        self.steps.append(Copy(tuple(sources), whole + "/" if directory else whole))

    def _add(self, rest: str) -> None:
        words = [word for word in self._words(rest) if not word.startswith("--")]
        for source in words[:-1]:
            if (
                "://" in source
                or source.startswith("git@")
                or re.search(r"\.(tar|tgz|gz|xz|bz2|zip)\b", source)
            ):
                raise NotNative(f"ADD {source} is fetched or unpacked by the engine")
        self._copy(rest)

    def _words(self, rest: str) -> Sequence[str]:
        if not rest.lstrip().startswith("["):
            return shlex.split(rest)
        try:
            return [str(word) for word in json.loads(rest)]
        except ValueError as error:
            raise NotNative(f"COPY {rest} is not understood") from error

    def _run(self, rest: str) -> None:
        if rest.startswith(("--", "<<")) or "<<" in rest:
            raise NotNative("RUN with mounts or here-documents needs an engine")
        command = shlex.join(self._words(rest)) if rest.startswith("[") else rest
        if found := INSTALLS.search(command):
            raise NotNative(f"RUN {found[1]} needs root or the network")
        variables = "".join(
            f"export {name}={shlex.quote(value)}; " for name, value in self._arguments.items()
        )
        self.steps.append(Run(variables + command, self.workdir))
