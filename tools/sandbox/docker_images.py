"""Images of docker forks: each is one committed state, removed when nothing stands on it."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ..errors import SandboxError
from .base import SandboxSpec
from .container_shell import PROGRAM
from .docker_archive import first_owner, git_archive, read_member, tree_archive

HOME = "/home/agent"
_USER = 1000


@dataclass(frozen=True, slots=True)
class PreparedTree:
    """Who commands run as (`uid:gid`, or the image's own user), and the image that was made, if any."""

    user: str
    image: str | None
    copied: bool
    """Whether the tree in it is the source's, not the image's own."""


@contextmanager
def daemon_errors(what: str) -> Iterator[None]:
    """Turn what the SDK and its transport raise into a SandboxError with the daemon's own words."""
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException

    try:
        yield
    except ImageNotFound as error:
        raise SandboxError(f"cannot {what}: {error.explanation}; pull or build it first") from error
    except APIError as error:
        raise SandboxError(f"cannot {what}: {error.explanation or error}") from error
    except (DockerException, RequestException) as error:
        raise SandboxError(
            f"cannot {what}: {daemon_reason(error)}; start the daemon, or point DOCKER_HOST to one that runs"
        ) from error


def daemon_reason(error: BaseException) -> str:
    """What the system said of the socket; else the SDK's own words."""
    fault: BaseException | None = error
    while fault is not None:
        if isinstance(fault, OSError) and fault.strerror:
            return f"{fault.strerror} ({os.environ.get('DOCKER_HOST') or 'its default socket'})"
        fault = fault.__cause__ or fault.__context__
    return str(error)


def prepare_tree(api: Any, spec: SandboxSpec, image_user: str, labels: dict[str, str]) -> PreparedTree:
    """Find the tree at `spec.root` in the image, or commit an image with `spec.source` there. A tree of the
    image gets the history of `spec.source`: its own may show what came after the base commit.

    Raises: SandboxError when the image's history cannot be taken away; what docker-py raises.
    """
    from docker.errors import NotFound

    container = api.create_container(spec.image, PROGRAM, labels=labels, entrypoint=[])["Id"]
    try:
        try:
            uid, gid = first_owner(api.get_archive(container, str(spec.root))[0])
            known = _with_history(api, spec, (uid, gid), labels) if (spec.source / ".git").is_dir() else None
            return PreparedTree(image_user or f"{uid}:{gid}", known, copied=False)
        except NotFound:
            uid, gid = _ids_of(api, container, image_user)
            with tree_archive(spec.source, spec.root, uid, gid, HOME) as archive:
                api.put_archive(container, "/", archive)
            image = api.commit(container, conf={"Labels": labels})["Id"]
            return PreparedTree(image_user or f"{uid}:{gid}", image, copied=True)
    finally:
        api.remove_container(container, force=True, v=True)


_NO_GIT = "find {root} -name .git -prune -exec rm -rf -- {{}} + && ! test -e {root}/.git"


def _with_history(api: Any, spec: SandboxSpec, owner: tuple[int, int], labels: dict[str, str]) -> str:
    """An image whose tree at `spec.root` has the history of `spec.source` in place of its own."""
    command = ["sh", "-c", _NO_GIT.format(root=shlex.quote(str(spec.root)))]
    alone = api.create_host_config(network_mode="none", cap_drop=["ALL"], cap_add=["DAC_OVERRIDE", "FOWNER"])
    container = api.create_container(
        spec.image, command, labels=labels, entrypoint=[], user="0", host_config=alone
    )["Id"]
    try:
        api.start(container)
        if api.wait(container)["StatusCode"] != 0:
            said = api.logs(container).decode("utf-8", "replace").strip()[-200:]
            raise SandboxError(
                f"the history in image {spec.image} cannot be replaced, and it may show the future: {said}"
            )
        with git_archive(spec.source, spec.root, *owner) as archive:
            api.put_archive(container, "/", archive)
        return api.commit(container, conf={"Labels": labels})["Id"]
    finally:
        api.remove_container(container, force=True, v=True)


def _ids_of(api: Any, container: str, user: str) -> tuple[int, int]:
    """Numeric ids of an image's user, by the image's own /etc/passwd when it is a name."""
    from docker.errors import NotFound

    name, _, group = user.partition(":")
    if not name:
        return _USER, _USER
    if name.isdecimal():
        return int(name), int(group) if group.isdecimal() else int(name)
    try:
        passwd = read_member(api.get_archive(container, "/etc/passwd")[0])
    except NotFound:
        return 0, 0
    for line in passwd.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 3:
            return int(fields[2]), int(fields[3])
    return 0, 0


class ImageLayer:
    """A committed state and the number of containers and later states that stand on it."""

    def __init__(self, image: str, parent: ImageLayer | None, *, ours: bool) -> None:
        self.image = image
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self._ours = ours
        self._users = 0
        self._lock: threading.Lock = parent._lock if parent is not None else threading.Lock()
        if parent is not None:
            parent.acquire()

    def acquire(self) -> None:
        with self._lock:
            self._users += 1

    def release(self, api: Any) -> None:
        """One user less. The last one takes the image with it, unless the user brought it."""
        from docker.errors import DockerException

        with self._lock:
            self._users -= 1
            unused = self._users == 0
        if unused:
            if self._ours:
                # Without noprune the daemon would also remove untagged parents, the user's own among them.
                with suppress(DockerException, OSError):
                    api.remove_image(self.image, force=True, noprune=True)
            if self.parent is not None:
                self.parent.release(api)
