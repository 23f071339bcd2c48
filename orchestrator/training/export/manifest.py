"""Manifest: what an export says of itself, `manifest.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class FileEntry(TypedDict):
    rows: int
    columns: list[str]
    sha256: str


class Manifest(TypedDict):
    schema: str
    record_schema: str
    generator: str
    seed: int
    filters: Mapping[str, object]
    runs: int
    calls_without_prompt_digest: int
    files: dict[str, FileEntry]
    """By path within the export."""
    dropped: dict[str, dict[str, int]]
    """Kind → reason → rows left out."""
    redacted: dict[str, int]
    """Kind of secret → how many were removed."""
    token_ids_dropped_by_redaction: int
    licences: list[str]
    losses: list[str]
