"""container_walls: limits, rights and reach of a container, as the daemon takes them."""

from __future__ import annotations

from typing import Any

from .base import SandboxSpec
from .docker_seccomp import profile


def container_walls(api: Any, spec: SandboxSpec) -> Any:
    """The host configuration of a container of `spec`; `api` is the SDK's client."""
    limits = spec.limits
    ulimits = [
        {"Name": name, "Soft": value, "Hard": value}
        for name, value in (
            ("nofile", limits.open_files),
            ("fsize", limits.file_bytes),
            ("cpu", limits.cpu_s),
            ("core", 0),
        )
        if value is not None
    ]
    binds = [f"{path}:{path}:ro" for path in spec.read_only] + [f"{path}:{path}" for path in spec.writable]
    return api.create_host_config(
        network_mode="bridge" if spec.network else "none",
        mem_limit=limits.memory_bytes,
        memswap_limit=limits.memory_bytes,
        pids_limit=None if limits.processes is None else limits.processes + 1,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges", f"seccomp={profile()}"],
        ulimits=ulimits,
        binds=binds,
        log_config={"Type": "none"},
        oom_score_adj=500,
    )
