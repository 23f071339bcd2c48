"""What stands behind `swe-agent solve`: flags become a request, a result becomes files and commits."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...agents.models.calls import ModelOptions, Sampling
from ...tools.errors import UsageError
from ...tools.excerpt import printable
from ..request import OFFLINE, Limits, SolveRequest, SolveResult
from ..solving.issue import Issue
from ..solving.run_directory import RunDirectory
from .sources import check_local, find_repository, read_issue, slug_of

if TYPE_CHECKING:
    from ..report.screen import Screen
    from .delivering import Delivery


def seconds(text: str | None) -> float | None:
    """`90`, `90s`, `30m`, `2h` in seconds. Raises: UsageError."""
    if text is None:
        return None
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        value = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        raise UsageError(f"{text!r} is not a duration: write 90s, 30m or 2h") from None
    if not (value > 0 and isfinite(value)):
        raise UsageError(f"a duration must be positive, not {text!r}")
    return value


def split_list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def role_models(text: str) -> dict[str, str]:
    """`coder=M,critic=M`. Raises: UsageError."""
    models: dict[str, str] = {}
    for part in split_list(text):
        role, separator, model = part.partition("=")
        if not separator or role not in ("coder", "tester", "debugger", "critic", "single") or not model:
            raise UsageError(
                f"--role-model {part!r}: write coder=M, tester=M, debugger=M, critic=M or single=M"
            )
        models[role] = model
    return models


def build_request(
    flags: Mapping[str, Any], screen: Screen, delivery: Delivery, scratch: Path | None
) -> tuple[SolveRequest, RunDirectory | None]:
    """Read the flags, fetch the issue, find the repository. Fatal mistakes are found before anything is
    cloned or spent, and leave no run behind. With `scratch`, a folder for a clone, no run is begun. Raises: UsageError, CredentialsError, IssueError, ForgeError, RepositoryError."""
    _check_choices(flags)
    model = flags["model"]
    proposers = split_list(flags["proposers"]) or (("offline",) if model == OFFLINE else ("llm",))
    samples = flags["samples"] or (1 if flags["search"] == "linear" else 8)
    request = SolveRequest(
        issue=Issue.from_text(""),
        repository=Path(),
        base=flags["base"],
        model=model,
        role_models=role_models(flags["role_model"]),
        sampling=Sampling(
            temperature=flags["temperature"],
            max_output_tokens=flags["max_output_tokens"],
            reasoning_effort=flags["reasoning_effort"],
        ),
        options=ModelOptions(
            api_base=flags["api_base"],
            fallbacks=split_list(flags["fallback_models"]),
            text_mode=flags["text_mode"] or None,
            timeout_s=flags["request_timeout"],
            max_retry_s=flags["retry_time"],
            stream=flags["stream"],
            token_ids=flags["token_ids"],
        ),
        roles=flags["roles"],
        search=flags["search"],
        samples=samples,
        width=flags["width"],
        workers=flags["workers"],
        proposers=proposers,
        seed=flags["seed"],
        limits=Limits(
            usd=flags["budget_usd"],
            tokens=flags["budget_tokens"],
            steps=flags["budget_steps"],
            wall_s=seconds(flags["timeout"]),
        ),
        max_steps=flags["max_steps"],
        critic_samples=flags["critic_samples"],
        sandbox=flags["sandbox"],
        image=flags["image"],
        network=flags["network"] == "on",
        python=flags["python"],
        setup=flags["setup"],
        test_cmd=flags["test_cmd"],
        protected=split_list(flags["protect"]),
        include_dirty=flags["include_dirty"],
    )
    _check_models(request)
    issue = read_issue(flags, screen)
    if not issue.text.strip():
        raise UsageError("the issue is empty: say what is wrong with --text, --file or --issue")
    screen.line(f"issue {issue.id}: {issue.title}", "bold")
    delivery.check(issue, local=check_local(flags, issue))
    run = RunDirectory.new(slug_of(issue), flags["output"]) if scratch is None else None
    folder = run.path / "work" / "clone" if run is not None else Path(scratch or "") / "clone"
    try:
        issue, repository = find_repository(flags, issue, folder, screen)
        request = replace(request, issue=issue, repository=repository, base=request.base or issue.base_commit)
        request = _trusting(request, flags["trust_repo"], screen)
        delivery.check_repository(repository)
    except BaseException:
        if run is not None:
            run.discard()
        raise
    return request, run


def _trusting(request: SolveRequest, trusted: bool, screen: Screen) -> SolveRequest:
    """What the repository's .swe-agent.toml says, if the user consents; its other keys never count."""
    from ..config import REPOSITORY_FILE, repository_settings

    offered, refused = repository_settings(request.repository)
    for key in refused:
        screen.line(f"  {REPOSITORY_FILE}: {key} is ignored: a repository may not set it", "yellow")
    for key, value in offered.items():
        used = "used" if trusted else "not used; --trust-repo takes it"
        screen.line(f"  {REPOSITORY_FILE}: {key} = {value!r}  ({used})")
    if not trusted:
        return request
    return replace(
        request,
        test_cmd=request.test_cmd or offered.get("test-cmd"),
        setup=request.setup or offered.get("setup"),
        image=request.image or offered.get("image"),
        protected=(*request.protected, *offered.get("ignore", ())),
    )


def resume_request(name: str) -> tuple[SolveRequest, RunDirectory]:
    """The request of an interrupted run. Raises: UsageError when it has finished."""
    run = RunDirectory.existing(name).claim()
    summary = run.read()
    if summary.get("finished"):
        raise UsageError(
            f"{run.path} has finished ({summary['status']}): see `swe-agent runs show {run.path}`"
        )
    return SolveRequest.from_json(summary["request"]), run


def run_solve(request: SolveRequest, run: RunDirectory, screen: Screen) -> SolveResult:
    """Run to the end. ^C and SIGTERM stop it within seconds with the best patch on disk; the exit code is
    then 130 or 143 and the process ends here."""
    from ..solving.solve import solve

    caught: list[int] = []

    async def main() -> SolveResult:
        task = asyncio.ensure_future(solve(request, run, listener=screen))
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            if caught:
                os._exit(128 + number)
            caught.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        return await task

    runner = asyncio.Runner()
    try:
        result = runner.run(main())
    except asyncio.CancelledError:
        best = f"best patch so far: {run.patch}" if run.patch.exists() else "no patch yet"
        print(f"swe-agent: stopped; {best}\nresume: swe-agent solve --resume {run.path}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # Closing the runner would wait for threads that may be in the middle of an installation. All that
        # counts is on disk, and sandboxes die with this process.
        os._exit(128 + (caught[0] if caught else signal.SIGINT))
    finally:
        run.release()
    runner.close()
    return result


def dry_run_lines(request: SolveRequest) -> list[str]:
    """What would be done, a line each; nothing is built, run or spent."""
    from ...tools.project.detect import detect_project

    lines = [
        f"issue: {request.issue.id}: {request.issue.title}",
        f"repository: {request.repository}",
        f"base: {request.base or 'HEAD'}",
    ]
    for found in detect_project(
        request.repository, python=request.python, setup=request.setup, test_cmd=request.test_cmd
    ):
        lines.append(f"{found.what}: {found.value} ({found.why}){f' [{found.flag}]' if found.flag else ''}")
    lines.append(f"model: {request.model}; roles: {request.roles}; search: {request.search}")
    lines.append(f"sandbox: {request.sandbox}, network {'on' if request.network else 'off'}")
    return [printable(line) for line in lines]


def _check_choices(flags: Mapping[str, Any]) -> None:
    for name, choices in (
        ("roles", ("team", "single")),
        ("search", ("linear", "best-of-n", "tree")),
        ("sandbox", ("auto", "namespace", "docker", "plain")),
        ("network", ("none", "on")),
        ("fork", ("auto", "never")),
    ):
        if flags[name] not in choices:
            raise UsageError(f"--{name} {flags[name]!r}: choose from {', '.join(choices)}")
    for proposer in split_list(flags["proposers"]):
        if proposer not in ("llm", "offline"):
            raise UsageError(f"--proposers {proposer!r}: choose from llm, offline")
    for name in (
        "samples",
        "width",
        "workers",
        "max_steps",
        "critic_samples",
        "budget_tokens",
        "budget_steps",
        "budget_usd",
        "max_output_tokens",
        "request_timeout",
        "retry_time",
    ):
        if flags[name] is not None and not (flags[name] > 0 and isfinite(flags[name])):
            raise UsageError(f"--{name.replace('_', '-')} must be positive, not {flags[name]}")
    if flags["temperature"] is not None and not (
        flags["temperature"] >= 0 and isfinite(flags["temperature"])
    ):
        raise UsageError(f"--temperature must be 0 or more, not {flags['temperature']}")
    if flags["image"] and flags["sandbox"] not in ("auto", "docker"):
        raise UsageError(f"--image needs --sandbox docker, not {flags['sandbox']}")
    given = [
        name
        for name in ("issue", "text", "file", "instance", "example")
        if flags.get(name) not in (None, False)
    ]
    if len(given) != 1:
        raise UsageError(
            "say which issue: one of --issue URL, --text T, --file F, --instance ID --dataset D, --example"
            if not given
            else f"--{' and --'.join(given)} exclude each other: give one"
        )
    if flags["instance"] and not flags["dataset"]:
        raise UsageError("--instance needs --dataset: an alias (verified, lite), a file or a hub id")


def _check_models(request: SolveRequest) -> None:
    from ...agents.models.factory import preflight

    async def check() -> None:
        for model in sorted(request.models()):
            await preflight(model, request.options)

    asyncio.run(check())
