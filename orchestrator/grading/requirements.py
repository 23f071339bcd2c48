"""Requirements: what the repository itself lists, read from a commit without checking it out."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from .mirror import file_at

_DROPPED = re.compile(r"^\s*(#|-e\s+\.|\.\[|\.$|--index|-i\s|--extra-index|--find-links|-f\s|--trusted)")
_RENAMED = {"types-pkg_resources": "types-setuptools", "types-pkg-resources": "types-setuptools"}
"""Packages that were taken off the index, and what took their place."""

_CONDA_ONLY = frozenset(
    [
        "python",
        "pip",
        "conda",
        "nodefaults",
        "graphviz",
        "compilers",
        "c-compiler",
        "cxx-compiler",
        "libgdal",
        "libnetcdf",
        "cdms2",
        "pynio",
        "pseudonetcdf",
        "eccodes",
        "esmf",
        "esmpy",
        "xesmf",
        "cfgrib",
        "rasterio",
        "hdf5",
        "gtk3",
        "pygobject",
        "pyqt",
        "wxpython",
        "qt",
        "ffmpeg",
        "imagemagick",
        "pandoc",
        "texlive-core",
        "mscorefonts",
        "pydata-sphinx-theme",
        "sphinx-gallery",
    ]
)
_CONDA_NAMES = {
    "matplotlib-base": "matplotlib",
    "dask-core": "dask",
    "pytables": "tables",
    "iris": "scitools-iris",
    "importlib-metadata": "importlib-metadata",
    "seaborn-base": "seaborn",
}


def requirements_at(mirror: Path, commit: str, paths: Sequence[str]) -> list[str]:
    """Lines of the first requirement file that exists, included files first; [] when there is none."""
    for path in paths:
        if file_at(mirror, commit, path) is not None:
            return list(dict.fromkeys(_included(mirror, commit, path, set())))
    return []


def _included(mirror: Path, commit: str, path: str, seen: set[str]) -> list[str]:
    text = file_at(mirror, commit, path) if path not in seen else None
    seen.add(path)
    lines: list[str] = []
    for raw in (text or "").replace("\\\n", " ").splitlines():
        line = re.sub(r"\s+#.*$", "", raw).strip()
        if found := re.match(r"(?:-r|--requirement)\s*=?\s*(\S+)", line):
            lines += _included(
                mirror, commit, posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1])), seen
            )
        elif line and not _DROPPED.match(line) and not line.startswith(("-c", "--constraint", "--hash")):
            line = re.sub(r"\s+--hash=\S+", "", line)
            name = re.split(r"[\[=<>!~ ;]", line, maxsplit=1)[0].lower()
            lines.append(_RENAMED.get(name, line))
    return lines


def conda_requirements_at(mirror: Path, commit: str, paths: Sequence[str]) -> list[str]:
    """The dependencies of the first conda environment file that exists, as pip requirements. Packages
    that only conda has are left out."""
    for path in paths:
        text = file_at(mirror, commit, path)
        if text is not None:
            return conda_requirements(text)
    return []


def only_conda_at(mirror: Path, commit: str, paths: Sequence[str]) -> list[str]:
    """Names in the first conda environment file that exists of which no package index has a built package."""
    text = next((found for path in paths if (found := file_at(mirror, commit, path)) is not None), "")
    names = [
        re.split(r"[\s=<>!]", item.rsplit("::", 1)[-1].strip(), maxsplit=1)[0]
        for item in _conda_entries(text)
    ]
    given = ("python", "pip", "conda", "nodefaults")
    return sorted({name for name in names if name.lower() in _CONDA_ONLY and name.lower() not in given})


def conda_requirements(text: str) -> list[str]:
    """`dependencies` of a conda environment file (`name=1.2`, `channel::name`, the nested `pip:` list). A file
    that is no YAML lists nothing."""
    return list(dict.fromkeys(line for line in map(_requirement, _conda_entries(text)) if line))


def _conda_entries(text: str) -> list[str]:
    import yaml

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return []
    listed = data.get("dependencies") if isinstance(data, dict) else None
    entries: list[str] = []
    for item in listed if isinstance(listed, list) else ():
        inner = item.get("pip") if isinstance(item, dict) else [item]
        entries += [text for text in inner or () if isinstance(text, str)]
    return entries


def _requirement(text: str) -> str:
    """One entry as a pip requirement, "" for what only conda has."""
    item = text.rsplit("::", 1)[-1].strip()
    parts = re.match(r"([A-Za-z0-9_.\[\]-]+)\s*(.*)$", item)
    if parts is None or item.startswith(("-", ".")) or parts[1].lower() in _CONDA_ONLY:
        return ""
    return _CONDA_NAMES.get(parts[1].lower(), parts[1]) + _version(parts[2].strip())


def _version(text: str) -> str:
    if re.match(r"=\d", text):  # conda's fuzzy pin, with an optional build string
        return f"=={text[1:].split('=')[0].rstrip('.*')}.*"
    return text
