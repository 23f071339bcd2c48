"""Harbor as a benchmark: tasks become instances, and the repositories that our agents work in."""

from __future__ import annotations

import platform
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ....tools.errors import UsageError
from ..contract import Benchmark, Files, TaskSource, make_repository, safe_name
from ..directories import read_tree
from ..instance import Instance
from ..sealed import Gold, SealedGold
from .dockerfile import Copy, NativeImage, NotNative, native_image
from .task import HarborTask, read_task, unsolvable

PYTHON = ".".join(platform.python_version_tuple()[:2])


class Harbor(Benchmark):
    """Directories with a task.toml. A prediction is a patch of the working directory that the environment's
    COPY steps fill."""

    name: ClassVar[str] = "harbor"

    def read(self, path: Path) -> list[TaskSource]:
        raise NotImplementedError("a Harbor task is no file set with a command: see instances()")

    def instances(self, path: Path, mirrors: Path) -> list[Instance]:
        homes = sorted(found.parent for found in path.rglob("task.toml"))
        if not homes:
            raise UsageError(f"{path} holds no harbor task: no task.toml was found")
        tasks = [read_task(home) for home in homes]
        names = [safe_name(task.home.name) for task in tasks]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(f"{path} holds a task twice: {', '.join(sorted(twice))}")
        return [self._of(task, name, mirrors) for task, name in zip(tasks, names, strict=True)]

    def _of(self, task: HarborTask, name: str, mirrors: Path) -> Instance:
        why = unsolvable(task)
        files: Files = {}
        try:
            files = working_tree(task)
        except NotNative as error:
            why = why or f"our agents do not see its working directory: {error}"
        base = make_repository(mirrors / f"{self.name}+{name}", files)
        identity = f"{self.name}__{name}"
        recipe = {"task": str(task.home.resolve()), "checksum": task.checksum(), "unsolvable": why}
        return Instance(
            identity,
            f"{self.name}/{name}",
            base,
            task.instruction(task.steps[0] if task.steps else None),
            SealedGold(identity, Gold()),
            benchmark=self.name,
            recipe=recipe,
            judge="harbor",
        )


def native_image_of(task: HarborTask, folder: Path) -> NativeImage:
    """What a namespace makes of `folder`/Dockerfile. Raises: NotNative."""
    try:
        text = (folder / "Dockerfile").read_text("utf-8")
    except OSError as error:
        raise NotNative("it has an image and no Dockerfile") from error
    return native_image(text, python=PYTHON)


def working_tree(task: HarborTask) -> Files:
    """Files of the working directory as COPY leaves it. Raises: NotNative when that is not the whole story."""
    image = native_image_of(task, task.context)
    if len(image.steps) > sum(isinstance(step, Copy) for step in image.steps):
        raise NotNative("RUN steps may change it")
    workdir = task.config.environment.workdir or image.workdir
    placed: dict[str, str | bytes] = {}
    for step in image.steps:
        assert isinstance(step, Copy)
        for target, content in copied(task.context, step).items():
            if PurePosixPath(target).is_relative_to(workdir):
                placed[str(PurePosixPath(target).relative_to(workdir))] = content
    return placed


def copied(context: Path, step: Copy) -> dict[str, bytes]:
    """Absolute path in the image → contents, for one COPY. Raises: UsageError for a source that is not there."""
    found: dict[str, bytes] = {}
    for pattern in step.sources:
        sources = _matches(context, pattern)
        for source in sources:
            if source.is_dir():
                tree = read_tree(source, "")
                found |= {str(PurePosixPath(step.target) / name): _bytes(data) for name, data in tree.items()}
            else:
                into = step.target.endswith("/")
                target = PurePosixPath(step.target) / source.name if into else PurePosixPath(step.target)
                found[str(target)] = source.read_bytes()
    ignored = {"Dockerfile", ".dockerignore"} if "." in step.sources or "./" in step.sources else set[str]()
    return {path: data for path, data in found.items() if PurePosixPath(path).name not in ignored}


def _matches(context: Path, pattern: str) -> list[Path]:
    clean = pattern.lstrip("/") or "."
    sources = [context] if clean in (".", "./") else sorted(context.glob(clean))
    inside = [path for path in sources if path.resolve().is_relative_to(context.resolve())]
    if not inside:
        raise UsageError(f"{context}/Dockerfile copies {pattern!r}, which is not in {context}")
    return inside


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data
