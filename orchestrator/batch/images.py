"""Container images: found locally, pulled when absent, removed within a disk budget."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...tools.errors import SandboxError, UsageError

PULLED = "pulled-image"
"""File in the directory of an instance with the name of the image that was pulled for it."""


class ImageError(SandboxError):
    """An image is not here and cannot be had, or is not what it should be."""


def keep_within(batch: Path, budget_bytes: int) -> list[str]:
    """Removal policy of a batch: images that it pulled go, oldest first, until the rest fits the budget.
    Images in use stay. Returns those removed; raises SandboxError when no engine answers."""
    marks = sorted(batch.glob(f"instances/*/{PULLED}"), key=lambda path: path.stat().st_mtime)
    names = list(dict.fromkeys(path.read_text() for path in marks))
    removed = remove_images(names, budget_bytes=budget_bytes) if names else []
    for path in marks:
        if path.read_text() in removed:
            path.unlink()
    return removed


def _client() -> Any:
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise SandboxError("container images need the docker package: pip install docker") from error
    try:
        client = docker.from_env(timeout=1800)
        client.ping()
        return client
    except (DockerException, OSError) as error:
        raise SandboxError(f"no container engine answers: {' '.join(str(error).split())[:200]}") from error


def ensure_image(
    name: str, *, pull: str = "missing", on_progress: Callable[[str], None] = lambda line: None
) -> bool:
    """Have the image locally; returns whether it was pulled. `pull` is missing or never.

    Raises: ImageError when it is absent and cannot be had; SandboxError when no engine answers.
    """
    from docker.errors import APIError, DockerException, ImageNotFound

    if pull not in ("missing", "never"):
        raise UsageError(f"--pull {pull!r}: use missing or never")
    client = _client()
    try:
        client.images.get(name)
        return False
    except ImageNotFound:
        if pull == "never":
            raise ImageError(f"image {name} is not here, and --pull never was asked for") from None
    except (DockerException, OSError) as error:
        raise SandboxError(f"the container engine failed: {' '.join(str(error).split())[:200]}") from error
    try:
        done, total = 0, 0
        sizes: dict[str, tuple[int, int]] = {}
        for event in client.api.pull(name, stream=True, decode=True):
            if "error" in event:
                raise ImageError(f"image {name} cannot be pulled: {event['error']}")
            detail = event.get("progressDetail") or {}
            if event.get("id") and detail.get("total"):
                sizes[event["id"]] = (int(detail.get("current", 0)), int(detail["total"]))
                done, total = (sum(column) for column in zip(*sizes.values(), strict=True))
                on_progress(f"pulling {name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        client.images.get(name)
        return True
    except (APIError, ImageNotFound, DockerException, OSError) as error:
        raise ImageError(f"image {name} cannot be pulled: {' '.join(str(error).split())[:200]}") from error


def repository_of_image(name: str, destination: Path, *, path: str = "/testbed") -> Path:
    """A copy on the host of the repository that the image holds. Raises: SandboxError."""
    from docker.errors import DockerException

    if (destination / ".git").exists():
        return destination
    client = _client()
    container: Any = None
    try:
        container = client.containers.create(name, command=["true"])
        chunks, _ = container.get_archive(path)
        buffer = io.BytesIO(b"".join(chunks))
        fresh = destination.with_name(destination.name + ".new")
        with tarfile.open(fileobj=buffer) as archive:
            archive.extractall(fresh, filter="tar")
        destination.parent.mkdir(parents=True, exist_ok=True)
        (fresh / Path(path).name).rename(destination)
        fresh.rmdir()
    except (DockerException, OSError, tarfile.TarError) as error:
        raise SandboxError(
            f"{path} of image {name} cannot be read: {' '.join(str(error).split())[:200]}"
        ) from error
    finally:
        if container is not None:
            with contextlib.suppress(DockerException, OSError):
                container.remove(force=True)
    if not (destination / ".git").exists():
        raise ImageError(f"image {name} holds no repository at {path}")
    return destination


def remove_images(
    names: list[str], *, budget_bytes: int, size_of: Callable[[str], int] | None = None
) -> list[str]:
    """Remove pulled images, oldest first as listed, until the rest fits the budget. Returns those removed."""
    from docker.errors import DockerException

    client = _client()

    def size(name: str) -> int:
        try:
            return int(client.images.get(name).attrs.get("Size", 0))
        except (DockerException, OSError):
            return 0

    measure = size_of or size
    sizes = {name: measure(name) for name in names}
    total, removed = sum(sizes.values()), []
    for name in names:
        if total <= budget_bytes:
            break
        try:
            client.images.remove(name, force=False)
        except (DockerException, OSError):  # still in use by a container; the next call tries again
            continue
        total -= sizes[name]
        removed.append(name)
    return removed
