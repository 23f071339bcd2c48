"""Are ordinary projects set up inside the walls, and how long does it take?

    python bench/setup_projects.py --out DIR [--only NAME] [--sources DIR]
    python bench/setup_projects.py --out DIR --before PYTHON [--rounds N]

Source distributions from the package index, one for each way of building, become git repositories; one of them keeps
part of its sources in a submodule. Each is set up with an empty cache, then its package is imported and its tests are asked for in a sandbox over the
repository. OUT/results.jsonl holds a line per project and is appended to: a stopped run goes on. With `--before`, the
interpreter of an environment that has another version of this package, both set up every project in turns, each time in
a process of its own with caches of its own, downloads included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from swe_agent.tools.errors import ProjectError, SandboxError
from swe_agent.tools.project.prepare import prepare_project, unpack_artefacts
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox

IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "protocol.file.allow=always")


@dataclass(frozen=True)
class Release:
    """A source distribution and how it is built. `module` is what it is imported as."""

    name: str
    version: str
    kind: str
    module: str
    submodule: str = ""
    """A folder of it that becomes a submodule."""


RELEASES = (
    Release("docopt", "0.6.2", "setup.py alone", "docopt"),
    Release("markupsafe", "3.0.3", "setuptools, C extension", "markupsafe._speedups"),
    Release("ujson", "5.11.0", "setuptools-scm, C++ extension", "ujson"),
    Release("msgpack", "1.1.2", "Cython extension", "msgpack._cmsgpack"),
    Release("pyyaml", "6.0.3", "setuptools, back-end in the tree", "yaml"),
    Release("simplejson", "3.20.2", "setuptools, optional extension", "simplejson"),
    Release("tomlkit", "0.13.3", "poetry", "tomlkit"),
    Release("itsdangerous", "2.2.0", "flit", "itsdangerous"),
    Release("attrs", "25.4.0", "hatch with plug-ins", "attr"),
    Release("pdm-backend", "2.4.5", "pdm, its own back-end", "pdm.backend"),
    Release("pluggy", "1.6.0", "setuptools-scm", "pluggy"),
    Release("pybind11", "3.0.1", "scikit-build", "pybind11"),
    Release("wrapt", "2.0.0", "submodule, C extension", "wrapt", "src"),
)


@dataclass(frozen=True)
class Row:
    """What one set-up came to. `seconds`: with nothing built; `again_s`: from the cache."""

    name: str
    kind: str
    seconds: float
    again_s: float | None
    error: str


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, what: str) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-qm", what)


def repository_of(release: Release, sources: Path, folder: Path) -> Path:
    """The source distribution as a git repository below `folder`. Raises: CalledProcessError."""
    sources.mkdir(parents=True, exist_ok=True)
    named = f"{release.name.replace('-', '_')}-{release.version}.tar.gz"
    if not (sources / named).exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", release.name,
                   "-d", str(sources), f"{release.name}=={release.version}"]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    folder.mkdir(parents=True)
    with tarfile.open(sources / named) as file:
        file.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    if release.submodule:
        inner = folder / "inner"
        (root / release.submodule).rename(inner)
        commit(inner, "inner")
        git(root, "init", "-q")
        git(root, "submodule", "add", "-q", str(inner), release.submodule)
    commit(root, "release")
    git(root, "tag", f"v{release.version}")
    return root


def works(repository: Path, cache: Path, scratch: Path, module: str) -> str:
    """Set up and imported in a sandbox; "" or what went wrong."""
    scratch.mkdir(parents=True)
    try:
        project = prepare_project(
            repository, cache=cache, on_line=lambda line: print(f"  {line}", flush=True)
        )
        spec = SandboxSpec(
            source=repository, scratch=scratch, read_only=project.read_only, env=dict(project.env)
        )
        with open_sandbox("namespace", spec) as sandbox:
            unpack_artefacts(sandbox, project)
            done = sandbox.exec(["python", "-c", f"import {module}; print({module}.__file__)"])
            asked = sandbox.exec("python -m pytest --version")
    except (ProjectError, SandboxError) as error:
        return str(error)[-300:]
    if asked.exit_code and project.test_command.runner == "pytest":
        return "pytest is missing"
    return "" if done.exit_code == 0 else done.output.strip()[-300:]


def measure(release: Release, sources: Path, folder: Path) -> Row:
    repository = repository_of(release, sources, folder / "source")
    began = time.monotonic()
    error = works(repository, folder / "cache", folder / "scratch", release.module)
    took, again = time.monotonic() - began, None
    if not error:
        began = time.monotonic()
        error = works(repository, folder / "cache", folder / "again", release.module)
        again = round(time.monotonic() - began, 1)
    return Row(release.name, release.kind, round(took, 1), again, error)


def table(rows: list[Row]) -> str:
    lines = ["| project | built by | set-up s | from the cache s | |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.kind} | {row.seconds} | {row.again_s or '-'} | {row.error[:120] or 'works'} |"
        )
    return "\n".join([*lines, f"{sum(not row.error for row in rows)} of {len(rows)} work"])


def read(log: Path) -> list[Row]:
    return [Row(**json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def one_of(release: Release, python: str, out: Path, sources: Path) -> None:
    """Set one project up in a process of `python`, with empty caches; OUT has it then."""
    if any(row.name == release.name for row in read(out / "results.jsonl")):
        return
    caches = out / "caches" / release.name
    subprocess.run(["rm", "-rf", str(caches)], check=True)
    env = {name: value for name, value in os.environ.items() if name != "UV_CACHE_DIR"}
    command = [python, __file__, "--out", str(out), "--sources", str(sources), "--only", release.name]
    subprocess.run(command, env=env | {"XDG_CACHE_HOME": str(caches)}, check=True, stdout=sys.stderr)
    subprocess.run(["rm", "-rf", str(caches), str(out / "work" / release.name)], check=True)


def compare(wanted: list[Release], before: str, rounds: int, out: Path, sources: Path) -> str:
    """Both versions in turns over each project, as a table of seconds. Raises: CalledProcessError."""
    pythons = {"before": before, "after": sys.executable}
    lines = ["| project | built by | before, s | after, s | after / before |", "|---|---|---|---|---|"]
    ratios: list[float] = []
    for release in wanted:
        took: dict[str, list[float]] = {which: [] for which in pythons}
        errors: list[str] = []
        for number in range(rounds):
            for which, python in pythons.items():
                place = out / f"{which}-{number + 1}"
                one_of(release, python, place, sources)
                row = next(row for row in read(place / "results.jsonl") if row.name == release.name)
                took[which].append(row.seconds)
                errors += [f"{which}: {row.error[:120]}"] if row.error else []
        ratio = statistics.mean(took["after"]) / statistics.mean(took["before"])
        ratios += [] if errors else [ratio]
        shown = [", ".join(map(str, took[which])) for which in pythons]
        lines.append(
            f"| {release.name} | {release.kind} | {' | '.join(shown)} | {errors[0] if errors else f'{ratio:.2f}'} |"
        )
    if ratios:
        lines.append(
            f"{len(ratios)} of {len(wanted)} work with both; median ratio {statistics.median(ratios):.2f}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for results; the same one resumes")
    parser.add_argument(
        "--sources", type=Path, help="folder of the source distributions (default: downloaded)"
    )
    parser.add_argument("--only", default="", help="projects whose names hold this text")
    parser.add_argument("--before", metavar="PYTHON", help="the version to compare with; both in turns")
    parser.add_argument("--rounds", type=int, default=2, help="how often each (default: %(default)s)")
    options = parser.parse_args()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    sources = (options.sources or options.out / "sources").resolve()
    wanted = [release for release in RELEASES if options.only in release.name]
    if options.before:
        print(compare(wanted, options.before, options.rounds, options.out, sources))
        return 0
    log = options.out / "results.jsonl"
    rows = read(log)
    for release in wanted:
        if any(row.name == release.name for row in rows):
            continue
        folder = options.out / "work" / release.name
        subprocess.run(["rm", "-rf", str(folder)], check=True)
        try:
            row = measure(release, sources, folder)
        except (subprocess.CalledProcessError, ValueError) as error:
            print(f"{release.name}: not counted, {error}", file=sys.stderr)
            continue
        rows.append(row)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        print(f"{row.name}: {row.error or 'works'}, {row.seconds} s", flush=True)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
