"""`swe-agent solve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def solve(
    issue: str = typer.Option(None, help="Issue URL or owner/repo#N."),
    text: str = typer.Option(None, help="The issue as text."),
    file: str = typer.Option(None, help="File with the issue; - is stdin."),
    instance: str = typer.Option(None, help="Instance id of --dataset."),
    dataset: str = typer.Option(None, help="Dataset that holds --instance: an alias, a file or a hub id."),
    example: bool = typer.Option(False, "--example", help="Solve the bundled example."),
    repo: str = typer.Option(
        None, help="Checkout or clone URL (default: the issue's repository, or this folder)."
    ),
    base: str = typer.Option(None, help="Revision to work on (default: HEAD)."),
    model: str = typer.Option(
        "offline/repair", help="Model: openai/NAME, anthropic/NAME, hosted_vllm/NAME, ..."
    ),
    role_model: str = typer.Option("", help="Models by role: coder=M,critic=M."),
    api_base: str = typer.Option(None, help="Base URL of an OpenAI-compatible endpoint."),
    fallback_models: str = typer.Option("", help="Models to fall back to, comma-separated."),
    temperature: float = typer.Option(None, help="Sampling temperature."),
    max_output_tokens: int = typer.Option(None, help="Output limit of one call."),
    reasoning_effort: str = typer.Option(None, help="low, medium or high, where the model offers it."),
    text_mode: bool = typer.Option(False, "--text-mode", help="Call tools as fenced text."),
    request_timeout: float = typer.Option(600.0, help="Seconds that one model call may take."),
    retry_time: float = typer.Option(300.0, help="Seconds that a failing call is repeated at most."),
    stream: bool = typer.Option(False, "--stream", help="Stream calls: one that falls silent is repeated."),
    token_ids: bool = typer.Option(None, "--token-ids/--no-token-ids", help="Ask for token ids (vLLM)."),
    roles: str = typer.Option("team", help="team (Tester, Coder, Debugger, Critic) or single."),
    search: str = typer.Option("linear", help="linear, best-of-n or tree."),
    samples: int = typer.Option(None, help="Rollouts at most (best-of-n, tree)."),
    width: int = typer.Option(4, help="Children of one node at most (tree)."),
    workers: int = typer.Option(1, help="Rollouts at once; the result does not depend on it."),
    proposers: str = typer.Option(None, help="llm, offline, or both, comma-separated."),
    seed: int = typer.Option(0, help="Seed of everything that is random."),
    budget_usd: float = typer.Option(None, help="Dollars at most."),
    budget_tokens: int = typer.Option(None, help="Tokens at most."),
    budget_steps: int = typer.Option(None, help="Model calls at most."),
    timeout: str = typer.Option(None, help="Wall time at most: 90s, 30m, 2h."),
    critic_samples: int = typer.Option(
        1, help="Times the Critic scores a patch; 1: its review's own scores."
    ),
    max_steps: int = typer.Option(100, help="Model calls of one role turn."),
    sandbox: str = typer.Option("auto", help="auto, namespace, docker or plain."),
    image: str = typer.Option(None, help="Container image (docker)."),
    network: str = typer.Option("none", help="none or on: network inside the sandbox."),
    python: str = typer.Option(None, help="Python version of the repository's environment."),
    setup: str = typer.Option(None, help="Command that sets the repository up."),
    test_cmd: str = typer.Option(None, help="Command that runs the tests."),
    protect: str = typer.Option("", help="Globs of files the patch may not touch, comma-separated."),
    include_dirty: bool = typer.Option(
        False, "--include-dirty", help="Take uncommitted changes into the base."
    ),
    trust_repo: bool = typer.Option(False, "--trust-repo", help="Follow the repository's .swe-agent.toml."),
    apply: bool = typer.Option(False, "--apply", help="Apply the patch to the checkout when it is verified."),
    branch: str = typer.Option(None, help="Commit the patch to this new branch of the checkout."),
    open_pr: bool = typer.Option(False, "--open-pr", help="Open a pull request (a draft unless --ready)."),
    ready: bool = typer.Option(False, "--ready", help="The pull request is no draft."),
    fork: str = typer.Option("auto", help="auto or never: push to a fork without push permission."),
    force: bool = typer.Option(
        False, "--force", help="Go on although the issue is closed, locked or assigned."
    ),
    patch: str = typer.Option(None, help="Write the patch there; - is stdout."),
    output: Path = typer.Option(None, help="Run directory (default: under the state folder)."),
    resume: str = typer.Option(None, help="Run to go on with: a path, a name, or last."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be done, and stop."),
    json_: bool = typer.Option(False, "--json", help="One JSON object on stdout at the end."),
    json_stream: bool = typer.Option(False, "--json-stream", help="Every event as a JSON line on stdout."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress on stderr."),
) -> int:
    """Solve one issue: from a URL, a text, a file or a dataset instance.

    With --issue URL alone, repository, base commit, environment and tests are inferred, and each inference
    is printed. Your checkout is never touched unless --apply or --branch is given.
    """
    flags: dict[str, Any] = dict(locals())
    from tempfile import TemporaryDirectory

    from ...tools.errors import SweAgentError
    from ..report.output import print_json
    from ..report.screen import Screen
    from .delivering import Delivery
    from .main import exit_code_of
    from .solving import build_request, dry_run_lines, resume_request, run_solve

    screen = Screen(quiet=quiet, stream=json_stream)
    delivery = Delivery(
        patch=patch, apply=apply, branch=branch, open_pr=open_pr, ready=ready, fork=fork, force=force
    )
    if resume is not None:
        request, run = resume_request(resume)
        delivery.check(request.issue, local=not request.repository.is_relative_to(run.path))
        delivery.check_repository(request.repository)
    elif dry_run:
        with TemporaryDirectory(prefix="swe-agent-dry-run-") as scratch:
            request, _ = build_request(flags, screen, delivery, Path(scratch))
            print("\n".join(dry_run_lines(request)))
        return 0
    else:
        request, run = build_request(flags, screen, delivery, None)
    assert run is not None
    result = run_solve(request, run, screen)
    done: dict[str, Any] = {}
    failure: SweAgentError | None = None
    try:
        delivery.write(result)
        delivery.deliver(request, result, screen, done)
    except SweAgentError as error:
        failure = error
        done |= {"exit_code": exit_code_of(error), "delivery_error": str(error)}
    screen.finished(result, done)
    if json_:
        print_json({**result.to_json(), "issue": request.issue.id, **done})
    if failure is not None:
        raise failure
    return result.exit_code
