"""`swe-agent ci`: the steps of the GitHub Action (action.yml)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .help import CommandApp

if TYPE_CHECKING:
    from ..ci.plan import Place

app = CommandApp(help="Steps of an automation on a forge.")
JOB = Path("swe-agent-job")


@app.command()
def plan(
    job: Path = typer.Option(JOB, help="Folder that the steps share."),
    event: Path = typer.Option(None, help="The event's payload (default: GITHUB_EVENT_PATH)."),
    trigger_phrase: str = typer.Option("@swe-agent", help="Mention that asks for work."),
    label: str = typer.Option("swe-agent", help="Label that asks for work."),
    assignee: str = typer.Option("", help="Login whose assignment asks for work."),
    branch_prefix: str = typer.Option("swe-agent/", help="Branches of ours begin so."),
    failed_runs: bool = typer.Option(True, help="Work on branches whose workflow run failed."),
    allow_users: str = typer.Option("", help="Logins that may ask without push permission; * is everybody."),
    allowed_bots: str = typer.Option("", help="Bots that may ask."),
    ready: bool = typer.Option(False, "--ready", help="Pull requests are no drafts."),
) -> int:
    """Decide what an event asks for, and who asks. Writes the job; sets the output `run`."""
    import json

    from ...tools.errors import UsageError
    from ..ci.actions import annotate, set_outputs
    from ..ci.event import Ignored, Wanted, read_event
    from ..ci.plan import Planner, Policy

    path = event or Path(os.environ.get("GITHUB_EVENT_PATH", ""))
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the event at {str(path)!r} cannot be read ({error}): give --event FILE") from error
    wanted = Wanted(trigger_phrase, label, assignee, branch_prefix, failed_runs)
    name = os.environ.get("GITHUB_EVENT_NAME", "")
    found = read_event(name, payload if isinstance(payload, dict) else {}, wanted)
    if not isinstance(found, Ignored):
        policy = Policy(_names(allow_users), _names(allowed_bots), branch_prefix, not ready)
        found = Planner(_place(), policy).plan(found, job)
    if isinstance(found, Ignored):
        annotate("notice", f"nothing to do: {found.why}")
        set_outputs(_file("GITHUB_OUTPUT"), {"run": "false", "why": found.why})
        return 0
    annotate("notice", f"working on {found.kind} {found.reference}")
    set_outputs(_file("GITHUB_OUTPUT"), {"run": "true", "why": ""})
    return 0


@app.command()
def solve(job: Path = typer.Option(JOB, help="Folder that the steps share.")) -> int:
    """Solve the job's issue in its clone, with no token of the forge. SWE_AGENT_<FLAG> sets the flags of
    `swe-agent solve`. Ends with 0 when the run came to a result, whatever it is."""
    import subprocess
    import sys

    from ..ci.actions import without_commands
    from ..ci.job import CiJob, read_result

    work = CiJob.read(job)
    command = [
        sys.executable, "-m", "swe_agent", "solve", "--file", str(job / "issue.md"), "--repo", str(job / "repository"),
        "--base", work.base_commit, "--output", str(job / "run"), "--json",
    ]  # fmt: skip
    with without_commands(bool(os.environ.get("GITHUB_ACTIONS"))), (job / "result.json").open("wb") as out:
        done = subprocess.run(command, stdout=out, env=_tokenless(os.environ), check=False)
    if read_result(job) is None:
        return done.returncode or 1
    return 0


@app.command()
def publish(
    job: Path = typer.Option(JOB, help="Folder that the steps share."),
    model: str = typer.Option("offline/repair", help="The model that was used, for the report."),
) -> int:
    """Push a verified patch, open the pull request, answer, and write the job summary and outputs."""
    from ..ci.actions import add_summary, annotate, set_outputs
    from ..ci.job import CiJob
    from ..ci.publish import publish as publish_job

    work = CiJob.read(job)
    done = publish_job(work, job, _place(), model=model)
    set_outputs(_file("GITHUB_OUTPUT"), done.outputs())
    add_summary(
        _file("GITHUB_STEP_SUMMARY"), f"## swe-agent: {done.conclusion}\n\n{done.summary}\n{done.url}"
    )
    if done.problem:
        annotate("warning", f"{done.problem}; {done.url or done.patch or 'nothing was made'}")
    annotate(
        "notice" if done.conclusion == "verified" else "warning", f"{done.conclusion} {done.url}".strip()
    )
    return 0 if done.conclusion != "failed" else 1


def _place() -> Place:
    from ..ci.plan import Place

    env = os.environ
    return Place(
        env.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/"),
        env.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        env.get("GITHUB_TOKEN") or env.get("GH_TOKEN") or None,
    )


def _file(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _tokenless(environment: os._Environ[str]) -> dict[str, str]:
    """The environment without the forge's tokens and without the files by which a step steers its workflow."""
    kept = dict(environment)
    for name in list(kept):
        forge_token = name in ("GITHUB_TOKEN", "GH_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
        steering = name in (
            "GITHUB_OUTPUT",
            "GITHUB_ENV",
            "GITHUB_PATH",
            "GITHUB_STEP_SUMMARY",
            "GITHUB_STATE",
        )
        if forge_token or steering or name.startswith("ACTIONS_"):
            del kept[name]
    return kept
