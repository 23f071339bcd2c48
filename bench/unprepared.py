"""How does the offline model do as a newcomer meets it: real projects, one realistic bug each, nothing prepared?

    python bench/unprepared.py --out DIR [--part open|kept|all] [--only ID] [--sources DIR]

Reads unprepared.toml: source distributions pinned by version and hash, and bugs in them (an edit, an issue in a
user's words, a probe). Every bug becomes a git repository, and `swe-agent solve --file issue.md` is run on it as a
user would run it. A patch that the run calls verified is held against the released sources: the probe must print the
same with both. Results are kept in DIR/results.jsonl as they come; the same call goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

NO_TEST = "no test fails"
"""What a run says where the released tests do not show the bug: it is right to refuse."""
MANIFEST = Path(__file__).with_name("unprepared.toml")
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0")


class BadBug(Exception):
    """An entry of the manifest that is none: its edit does not fit, or its probe does not see it."""


@dataclass(frozen=True)
class Release:
    """A source distribution."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Bug:
    """An edit of one file, `before` → `after`, and what its user says about it."""

    id: str
    project: str
    kind: str
    file: str
    kept: bool
    before: str
    after: str
    issue: str
    probe: str


@dataclass(frozen=True)
class Row:
    """What one run came to. `agrees`: the probe prints the same with the patch and with the released sources."""

    bug: str
    kind: str
    kept: bool
    exit_code: int
    status: str
    seconds: float
    patch: str
    agrees: bool | None

    @property
    def verdict(self) -> str:
        if self.exit_code == 0:
            return "solved" if self.agrees else "wrong patch"
        if self.patch:
            return "patch not claimed"
        if self.exit_code == 3:
            return "rightly refused" if NO_TEST in self.status else "not found"
        return f"exit {self.exit_code}"


def read_manifest(path: Path) -> tuple[dict[str, Release], list[Bug]]:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return {p["name"]: Release(**p) for p in data["project"]}, [Bug(**bug) for bug in data["bug"]]


def fetch(release: Release, folder: Path) -> Path:
    """The pinned source distribution. Raises: SystemExit when it is not what the manifest names."""
    pattern = f"{release.name}-{release.version}.tar.gz"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / pattern).exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", release.name,
                   "-d", str(folder), f"{release.name}=={release.version}"]  # fmt: skip
        subprocess.run(command, check=True)
    digest = hashlib.sha256((folder / pattern).read_bytes()).hexdigest()
    if digest != release.sha256:
        raise SystemExit(f"{folder / pattern} is not the pinned file: its SHA-256 is {digest}")
    return folder / pattern


def unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


def seed(bug: Bug, root: Path) -> None:
    """Make the edit and commit the tree. Raises: BadBug when the edit does not fit."""
    path = root / bug.file
    text = path.read_text(encoding="utf-8")
    if text.count(bug.before) != 1:
        raise BadBug(f"the text before the edit is found {text.count(bug.before)} times")
    path.write_text(text.replace(bug.before, bug.after), encoding="utf-8")
    for command in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-qm", "release"]):
        subprocess.run(["git", *IDENTITY, *command], cwd=root, check=True, capture_output=True)


def printed(probe: str, root: Path) -> str:
    """What the probe prints with the sources under `root`; an error is part of the answer."""
    env = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", probe],
            cwd=root.parent, env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "hangs"
    return done.stdout if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def solve(bug: Bug, archive: Path, folder: Path, options: argparse.Namespace) -> Row:
    released, root = unpack(archive, folder / "released"), unpack(archive, folder / "seeded")
    seed(bug, root)
    if printed(bug.probe, root) == printed(bug.probe, released):
        raise BadBug("the probe does not see the bug")
    issue = folder / "issue.md"
    issue.write_text(bug.issue, encoding="utf-8")
    command = [*options.command, "solve", "--file", str(issue), "--repo", str(root), "--json",
               "--output", str(folder / "run"), *options.arguments]  # fmt: skip
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    seconds = time.monotonic() - start
    (folder / "screen.txt").write_text(done.stderr, encoding="utf-8")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result = json.loads(lines[-1]) if lines else {}
    patch, agrees = result.get("patch") or "", None
    if patch:
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        subprocess.run(command, cwd=root, input=patch, text=True, check=True)
        agrees = printed(bug.probe, root) == printed(bug.probe, released)
    status = result.get("status") or done.stderr.strip()[-300:]
    return Row(bug.id, bug.kind, bug.kept, done.returncode, status, round(seconds, 1), patch, agrees)


def report(rows: Sequence[Row]) -> str:
    lines = ["| bug | kind | result | seconds | said |", "|---|---|---|---|---|"]
    lines += [f"| {r.bug} | {r.kind} | {r.verdict} | {r.seconds:.0f} | {r.status[:90]} |" for r in rows]
    for name, part in (
        ("open", [r for r in rows if not r.kept]),
        ("kept", [r for r in rows if r.kept]),
        ("all", rows),
    ):
        if part:
            counts = Counter(row.verdict for row in part)
            told = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
            median = statistics.median(row.seconds for row in part)
            shown = len(part) - counts["rightly refused"]
            lines.append(
                f"{name}: solved {counts['solved']}/{shown} that a test shows ({told}), median {median:.0f} s"
            )
    return "\n".join(lines)


def run(options: argparse.Namespace) -> None:
    releases, bugs = read_manifest(options.manifest)
    wanted = [b for b in bugs if options.part == "all" or b.kept == (options.part == "kept")]
    wanted = [b for b in wanted if not options.only or b.id in options.only]
    options.out = options.out.resolve()  # probes run elsewhere
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "results.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    rows = {row.bug: row for row in (Row(**json.loads(line)) for line in lines)}
    for number, bug in enumerate(wanted, 1):
        if bug.id in rows:
            continue
        archive = fetch(releases[bug.project], options.sources or options.out / "sources")
        folder = options.out / "work" / bug.id
        subprocess.run(["rm", "-rf", str(folder)], check=True)
        for name in ("released", "seeded"):
            (folder / name).mkdir(parents=True)
        try:
            row = rows[bug.id] = solve(bug, archive, folder, options)
        except (BadBug, subprocess.TimeoutExpired) as error:  # the other bugs are asked all the same
            print(f"{number}/{len(wanted)} {bug.id}: not counted, {error}", file=sys.stderr)
            continue
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        print(f"{number}/{len(wanted)} {bug.id}: {row.verdict}, {row.seconds:.0f} s", file=sys.stderr)
    print(report([rows[bug.id] for bug in wanted if bug.id in rows]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for results; the same one resumes")
    parser.add_argument("--manifest", type=Path, default=MANIFEST)
    parser.add_argument("--part", choices=("open", "kept", "all"), default="open")
    parser.add_argument("--only", action="append", default=[], help="id of a bug; may be repeated")
    parser.add_argument(
        "--sources", type=Path, help="folder with the source distributions (default: downloaded)"
    )
    parser.add_argument("arguments", nargs="*", help="further arguments of `swe-agent solve`, after --")
    options = parser.parse_args()
    options.command = [sys.executable, "-m", "swe_agent"]
    run(options)


if __name__ == "__main__":
    main()
