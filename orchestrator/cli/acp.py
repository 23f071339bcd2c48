"""`swe-agent acp`."""

from __future__ import annotations

import typer

from .help import CommandApp

app = CommandApp()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def acp(ctx: typer.Context) -> int:
    """Serve an editor over the Agent Client Protocol on stdin and stdout.

    What stands behind `--` goes to every `swe-agent solve`: `swe-agent acp -- --model openai/gpt-5`.
    """
    import asyncio

    from ...tools.errors import UsageError
    from ...tools.extras import install_command

    try:
        from acp import run_agent

        from ..serving.acp_agent import AcpAgent
    except ImportError as error:
        raise UsageError(f"`swe-agent acp` needs the extra acp: {install_command('acp')}") from error
    asyncio.run(run_agent(AcpAgent(list(ctx.args))))
    return 0
