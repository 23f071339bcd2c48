"""What each adapter does of its benchmark. docs/evaluation.md holds this table; a test keeps them equal.

`works` is done and tested; `noted` is done differently, and every verdict says so; `refused` ends the
command with the name of the field before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Conformance:
    """One feature of one benchmark."""

    benchmark: str
    feature: str
    status: Literal["works", "noted", "refused"]
    how: str = ""


TABLE = (
    Conformance(
        "SWE-bench 4.x and 5.x", "Python rows without an image", "works", "native; recipes of 12 repositories"
    ),
    Conformance("SWE-bench 4.x and 5.x", "rows in their images", "works", "`--harness official`"),
    Conformance("SWE-bench 4.x and 5.x", "natively: unknown repository, language or log parser", "refused"),
    Conformance("SWE-bench Multilingual", "in images", "works", "`--harness official`"),
    Conformance("SWE-bench Multilingual", "natively", "refused", "its languages are not Python"),
    Conformance("SWE-bench Multimodal", "in images", "works", "`--harness official`"),
    Conformance("SWE-bench Multimodal", "natively", "refused", "its repositories are JavaScript"),
    Conformance(
        "SWE-bench Pro",
        "rows, images, run_script.sh and parser.py",
        "works",
        "`run_scripts/` beside the dataset",
    ),
    Conformance("SWE-bench Pro", "an instance without its scripts or its dockerhub_tag", "refused"),
    Conformance("SWE-Gym", "in images", "works", "`--harness official`"),
    Conformance("SWE-Gym", "natively", "refused", "no recipe is known"),
    Conformance("SWE-rebench V1, V2", "Python rows with install_config", "works", "native"),
    Conformance("SWE-rebench V1, V2", "natively: other languages and log parsers", "refused"),
    Conformance("SWE-smith", "rows, the way back from a text bug", "works", "solving, in its images"),
    Conformance("SWE-smith", "bugs with renames, modes or binary files; grading", "refused"),
    Conformance("HumanEval(+), HumanEvalFix, MBPP(+)", "Python tasks", "works"),
    Conformance(
        "BigCodeBench, NaturalCodeBench", "Python tasks", "works", "with the packages of this machine"
    ),
    Conformance("LiveCodeBench", "stdin and functional cases", "works"),
    Conformance("LiveCodeBench", "pickled private cases", "refused", "unpickling runs code"),
    Conformance(
        "MLE-bench", "prepared competitions, medals, direction", "works", "by the package `mlebench`"
    ),
    Conformance("MLE-bench", "without the package, or unprepared", "refused"),
    Conformance("MLAgentBench", "get_score", "noted", "no pass mark: resolved says that there is a score"),
    Conformance("MLAgentBench", "tasks whose prepare.py did not run", "refused"),
    Conformance("Harbor 1.4", "Dockerfile, docker_image", "works", "built or pulled by the engine"),
    Conformance(
        "Harbor 1.4", "Dockerfile without an engine", "noted", "COPY, ENV, WORKDIR, RUN in a namespace"
    ),
    Conformance(
        "Harbor 1.4",
        "Dockerfile that a namespace cannot follow, without an engine",
        "refused",
        "the instruction is named",
    ),
    Conformance("Harbor 1.4", "oracle (solution/solve.sh), noop, a patch", "works"),
    Conformance("Harbor 1.4", "steps, workdir, setup.sh, min_reward, mean and final", "works"),
    Conformance("Harbor 1.4", "shared and separate verifier, tests/Dockerfile", "works"),
    Conformance("Harbor 1.4", "artifacts, exclude, collect", "works"),
    Conformance("Harbor 1.4", "reward.txt, reward.json; none is an error, not 0", "works"),
    Conformance("Harbor 1.4", "timeouts, healthcheck, env, user", "works", "`user` in containers alone"),
    Conformance(
        "Harbor 1.4",
        "network_mode public and no-network, by phase",
        "works",
        "in containers; a namespace has none, noted",
    ),
    Conformance("Harbor 1.4", "cpus, memory_mb", "works", "cpus in containers alone"),
    Conformance("Harbor 1.4", "storage_mb", "noted", "not enforced, as in Harbor's Docker environment"),
    Conformance("Harbor 1.4", "result.json, trajectory.json (ATIF)", "works", "`instances/<id>/trial/`"),
    Conformance(
        "Harbor 1.4", "network_mode allowlist, gpus, tpu, windows, compose, other services", "refused"
    ),
    Conformance("Harbor 1.4", "a field that schema 1.4 does not have", "refused"),
    Conformance(
        "Harbor 1.4",
        "our agents on steps, mcp_servers, skills_dir, trajectory.json",
        "refused",
        "oracle and noop run",
    ),
    Conformance("SWE-fficiency, GSO, SWE-Lancer, Terminal-Bench 1", "anything", "refused", "no adapter"),
)


def markdown() -> str:
    """The table as docs/evaluation.md shows it."""
    lines = ["| benchmark | feature | | how |", "|---|---|---|---|"]
    previous = ""
    for row in TABLE:
        name = row.benchmark if row.benchmark != previous else ""
        lines.append(f"| {name} | {row.feature} | {row.status} | {row.how} |")
        previous = row.benchmark
    return "\n".join(lines) + "\n"
