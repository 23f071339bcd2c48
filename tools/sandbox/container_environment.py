"""What an image offers commands: a shell, an owner, a home, a search path, a conda environment `testbed`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .container_shell import ShellResult
from .environment import clean_env

_PROBE = (
    "command -v bash >/dev/null && echo bash || echo sh; id -u 2>/dev/null || echo 0; id -g 2>/dev/null || echo 0; "
    '[ -w "$HOME" ] && echo "$HOME" || echo /tmp; echo "$PATH"; '
    "for d in /opt/miniconda3 /opt/conda /opt/miniforge3 /root/miniconda3; do "
    'if [ -x "$d/envs/testbed/bin/python" ]; then echo "$d"; break; fi; done'
)


@dataclass(frozen=True, slots=True)
class ContainerEnvironment:
    shell: str
    ids: tuple[int, int]
    """User and group that commands run as."""
    env: dict[str, str]


def look_inside(run: Callable[[str], ShellResult], home: str) -> ContainerEnvironment | None:
    """Ask the container's shell, through `run`; `home` ("" for the image's own) is where HOME points.
    None when the shell does not answer."""
    lines = run(_PROBE).output.value().decode("utf-8", "replace").splitlines()
    if len(lines) < 5:
        return None
    env = clean_env(home or lines[3])
    env["PATH"] = lines[4]
    if len(lines) > 5:
        prefix = f"{lines[5]}/envs/testbed"
        env |= {
            "PATH": f"{prefix}/bin:{lines[5]}/condabin:{lines[4]}",
            "CONDA_PREFIX": prefix,
            "CONDA_DEFAULT_ENV": "testbed",
        }
    return ContainerEnvironment(lines[0], (int(lines[1]), int(lines[2])), env)
