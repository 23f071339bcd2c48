"""The GitLab component's script, as the shell script that it is, against a forge on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ci.workflow import ROOT
from forges.forge_server import ForgeServer

from swe_agent.examples import materialise

TOKEN = "glpat-PlantedSecretToken0123"
HEAD, JOBS = yaml.safe_load_all((ROOT / "templates/solve.yml").read_text())


def run_job(folder: Path, forge: ForgeServer, issue: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The job's script in a shell, with its variables and what a runner gives."""
    given = {name: str(spec.get("default", "")) for name, spec in HEAD["spec"]["inputs"].items()} | inputs
    job: dict[str, Any] = JOBS["swe-agent"]
    home = folder / "agent"
    (home / ".venv/bin").mkdir(parents=True)
    (home / "bootstrap").touch()
    (home / ".venv/bin/swe-agent").symlink_to(Path(sys.executable).with_name("swe-agent"))
    project = folder / "project"
    project.mkdir()
    runner = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "CI": "true", "ISSUE": issue, "GITLAB_TOKEN": TOKEN,
        "CI_SERVER_URL": forge.url, "CI_PROJECT_URL": f"{forge.url}/octo/parking",
        "CI_PROJECT_DIR": str(project), "CI_BUILDS_DIR": str(folder),
    }  # fmt: skip
    known = {
        name: re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda m: given[m[1]], value)
        for name, value in job["variables"].items()
    }
    known = {name: re.sub(r"\$(\w+)", lambda m: runner[m[1]], value) for name, value in known.items()}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", "\n".join(job["script"])],
        env={**runner, **known, "AGENT_HOME": str(home)}, cwd=project, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


@pytest.fixture
def parked(tmp_path: Path) -> Any:
    with ForgeServer(tmp_path) as server:
        server.add_repository("octo/parking", source=materialise(tmp_path / "parking"))
        server.users[TOKEN] = "project_bot"
        server.pushers["octo/parking"] = {TOKEN}
        server.add_issue(
            "octo/parking", 7, title="Charged one hour too much",
            body="charge() is one hour too high for stays that end on the hour.",
        )  # fmt: skip
        yield server


def test_an_issue_becomes_a_merge_request(parked: ForgeServer, tmp_path: Path) -> None:
    done = run_job(tmp_path / "runner", parked, "7", repository="unused")
    assert done.returncode == 0, done.stdout + done.stderr
    (request,) = parked.pulls["octo/parking"]
    assert request["title"].startswith("Draft: ")
    assert TOKEN not in done.stdout + done.stderr
    kept = [tmp_path / "runner/project" / path for path in JOBS["swe-agent"]["artifacts"]["paths"]]
    assert [path.name for path in kept if not path.exists()] == []


@pytest.mark.parametrize("issue", ["", "7; touch injected", "$(touch injected)", "-7"])
def test_what_is_no_number_starts_nothing(parked: ForgeServer, tmp_path: Path, issue: str) -> None:
    done = run_job(tmp_path / "runner", parked, issue, repository="unused")
    assert (done.returncode, parked.seen) == (2, [])
    assert not list(tmp_path.rglob("injected"))
