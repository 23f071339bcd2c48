"""`swe-agent completion`."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False)


@app.command()
def completion(shell: str = typer.Argument(help="bash, zsh or fish.")) -> int:
    """Print the completion script of a shell: eval "$(swe-agent completion bash)"."""
    from typer._completion_shared import get_completion_script

    from ...tools.errors import UsageError

    if shell not in ("bash", "zsh", "fish"):
        raise UsageError(f"no completion for {shell!r}: choose bash, zsh or fish")
    print(get_completion_script(prog_name="swe-agent", complete_var="_SWE_AGENT_COMPLETE", shell=shell))
    return 0
