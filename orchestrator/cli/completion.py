"""`swe-agent completion`."""

from __future__ import annotations

from typing import Literal

import typer

from .help import CommandApp

app = CommandApp()


@app.command()
def completion(shell: Literal["bash", "zsh", "fish"] = typer.Argument(help="The shell.")) -> int:
    """Print the completion script of a shell: eval "$(swe-agent completion bash)"."""
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="swe-agent", complete_var="_SWE_AGENT_COMPLETE", shell=shell))
    return 0
