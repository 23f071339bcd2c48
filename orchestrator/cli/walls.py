"""agree_to_no_walls: on a machine whose sandboxes cannot have walls, a person is asked once."""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from ...tools.errors import UsageError

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_QUESTION = """{why}
Without walls commands of the repository and of the model run as you, with your files and your network.
Go on, now and from now on? [y/N] """


def agree_to_no_walls(kind: str, image: str | None = None) -> None:
    """With `--sandbox auto` on a terminal: ask before anything runs as the user; a yes is kept in the state folder, and
    so is until the next boot that there are walls. Where nobody can be asked, plain warns of itself.
    Raises: UsageError for a no."""
    from platformdirs import user_state_path

    from ..report.screen import is_live

    if kind != "auto" or image is not None or not (is_live() and sys.stdin.isatty()):
        return
    state = user_state_path("swe-agent")
    agreed, seen, boot = state / "no-walls", state / "walls", _read(_BOOT)
    if agreed.exists() or (boot and _read(seen) == boot):
        return
    from ...tools.sandbox.factory import why_no_walls

    with tempfile.TemporaryDirectory(prefix="swe-agent-walls-") as folder:
        why = why_no_walls(Path(folder))
    if why is None:
        _keep(seen, boot)
        return
    print(_QUESTION.format(why=why), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError(
            "not begun: --sandbox docker has walls where a Docker engine runs, --sandbox plain says that none are wanted"
        )
    _keep(agreed, "asked and agreed: --sandbox auto may take plain on this machine\n")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


def _keep(path: Path, text: str) -> None:
    from ...tools.files import write_atomically

    with suppress(OSError):  # then it is asked again
        write_atomically(path, text)
