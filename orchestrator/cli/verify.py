"""`swe-agent verify`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command()
def verify(
    patch: str = typer.Option(
        None, help="File with a unified diff; - is stdin (default: uncommitted changes)."
    ),
    staged: bool = typer.Option(False, "--staged", help="The staged changes of the checkout."),
    pr: str = typer.Option(None, help="URL of a pull request: its changes on its base."),
    repo: Path = typer.Option(Path(), help="Checkout; it is read, never written."),
    base: str = typer.Option(None, help="Revision that the patch is for (default: HEAD)."),
    test: list[str] = typer.Option([], help="A test that must pass with the patch; may be repeated."),
    verify_: str = typer.Option("auto", "--verify", help="auto, full, or a time: 90s, 5m."),
    sandbox: str = typer.Option("auto", help="auto, namespace, docker or plain."),
    image: str = typer.Option(None, help="Container image (docker)."),
    python: str = typer.Option(None, help="Python version of the repository's environment."),
    setup: str = typer.Option(None, help="Command that sets the repository up."),
    test_cmd: str = typer.Option(None, help="Command that runs the tests."),
    json_: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress on stderr."),
) -> int:
    """Judge a patch with no model: what it fixes and what it breaks, in about a minute, on forks of a copy.

    Exit 0: nothing that was run broke and every --test passes; 4: not so.
    """
    import asyncio
    from tempfile import TemporaryDirectory

    from ...tools.errors import UsageError
    from ..report.output import print_json
    from ..report.screen import Screen
    from ..solving.verification import VerifyRequest, verify_patch
    from .changes import changes_of

    if sum((patch is not None, staged, pr is not None)) > 1:
        raise UsageError("--patch, --staged and --pr exclude each other: give one")
    screen = Screen(quiet=quiet or json_)
    with TemporaryDirectory(prefix="swe-agent-changes-") as folder:
        changes = changes_of(repo, patch, staged, pr, base, Path(folder))
        request = VerifyRequest(
            changes.repository, changes.patch, changes.base, tuple(test), verify_, sandbox, image, python, setup,
            test_cmd,
        )  # fmt: skip
        found = asyncio.run(verify_patch(request, lambda line: screen.line(f"· {line}", "dim")))
    if json_:
        print_json(found.to_json())
        return found.exit_code
    for name in ("fixed", "broken", "still_failing", "failed_targets", "unknown", "flaky"):
        tests: tuple[str, ...] = getattr(found, name)
        if tests:
            shown = "".join(f"\n  {one}" for one in tests[:10])
            more = f"\n  and {len(tests) - 10} more" if len(tests) > 10 else ""
            print(f"{name.replace('_', ' ')}: {len(tests)}{shown}{more}")
    print(found.status, file=sys.stdout)
    return found.exit_code
