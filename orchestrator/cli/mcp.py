"""`swe-agent mcp`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from .help import CommandApp

app = CommandApp()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def mcp(
    ctx: typer.Context,
    repo: Path = typer.Option(Path(), help="Checkout that the tools work on; it is never changed."),
    port: int = typer.Option(
        None, help="Serve streamable HTTP on this loopback port (default: stdin and stdout)."
    ),
    sandbox: Literal["auto", "namespace", "docker", "plain"] = typer.Option(
        "auto", help="Where commands run; plain has no walls."
    ),
    setup: str = typer.Option(None, help="Command that sets the repository up."),
    test_cmd: str = typer.Option(None, help="Command that runs the tests."),
) -> int:
    """Serve other agents over the Model Context Protocol: solve, verify_patch, run_tests, search_code, ...

    What stands behind `--` goes to every `swe-agent solve`: `swe-agent mcp -- --model openai/gpt-5`.
    """
    from ...tools.errors import UsageError

    try:
        from ..serving.mcp_server import Served, build_server
    except ImportError as error:
        raise UsageError("`swe-agent mcp` needs the extra mcp: pip install 'swe-agent[mcp]'") from error
    from ..serving.served_repository import ServedRepository
    from ..solving.delivery import working_tree

    root = working_tree(repo)
    flags = ["--sandbox", sandbox]
    flags += ["--setup", setup] if setup else []
    flags += ["--test-cmd", test_cmd] if test_cmd else []
    repository = ServedRepository(root, sandbox=sandbox, setup=setup, test_cmd=test_cmd)
    server = build_server(Served(repository, flags, ctx.args))
    if port is None:
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=port)
    return 0
