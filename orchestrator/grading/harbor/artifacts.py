"""Artifacts: what crosses from the agent's box to the trial's folder, and on to a separate verifier."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ...benchmarks.harbor.schema import Artifact
from .box import Box

CONVENTION = "/logs/artifacts"


def all_artifacts(*lists: Sequence[Artifact]) -> list[Artifact]:
    """The declared ones, with /logs/artifacts first unless it is declared itself."""
    declared = [item for entries in lists for item in entries]
    if not any(item.source.rstrip("/") == CONVENTION for item in declared):
        declared.insert(0, Artifact(source=CONVENTION))
    return declared


def host_path(folder: Path, artifact: Artifact) -> Path:
    """Where an artifact lies in the trial's folder: its destination, else its path in the box."""
    named = PurePosixPath(artifact.destination or artifact.source)
    return folder.joinpath(*(part for part in named.parts if part not in ("/", "..")))


def collect(box: Box, artifacts: Sequence[Artifact], folder: Path) -> None:
    """Copy artifacts out, as far as they are there, and write `manifest.json`. Of two that overlap on the
    host the first stays."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, object]] = []
    taken: list[Path] = []
    for artifact in artifacts:
        target = host_path(folder, artifact)
        overlaps = any(
            target == other or target in other.parents or other in target.parents for other in taken
        )
        found = not overlaps and box.get(_absolute(box, artifact), target, exclude=tuple(artifact.exclude))
        taken.append(target)
        entries.append(
            {
                "source": artifact.source,
                "destination": f"artifacts/{target.relative_to(folder)}",
                "type": "file" if target.is_file() or PurePosixPath(artifact.source).suffix else "directory",
                "status": "skipped" if overlaps else "ok" if found else "failed",
                "service": artifact.service,
                "exclude": list(artifact.exclude),
            }
        )
    (folder / "manifest.json").write_text(json.dumps(entries, indent=1) + "\n", "utf-8")


def hand_over(box: Box, artifacts: Sequence[Artifact], folder: Path) -> None:
    """Put collected artifacts where they came from, in another box."""
    for artifact in artifacts:
        held, target = host_path(folder, artifact), PurePosixPath(_absolute(box, artifact))
        if held.is_dir():
            box.empty(str(target))
            box.put(held, str(target))
        elif held.is_file():
            box.put_files({target.name: held.read_bytes()}, str(target.parent))


def _absolute(box: Box, artifact: Artifact) -> str:
    return str(PurePosixPath(box.workdir) / artifact.source)
