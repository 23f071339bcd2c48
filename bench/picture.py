"""docs/run.svg: the terminal after a real `swe-agent solve --example`, as tmux shows it. Needs tmux and swe-agent on PATH.

python bench/picture.py docs/run.svg
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, LIMIT_S = 100, 180
COMMAND = "swe-agent solve --example --output /tmp/demo"


def terminal(folder: Path) -> str:
    """What stands on the terminal when the command has ended, with its colours."""
    tmux = ["tmux", "-S", str(folder / "socket"), "-f", "/dev/null"]
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "TMUX")}
    line = f"{COMMAND}; touch {folder}/ended; sleep {LIMIT_S}"
    size = ["-x", str(COLUMNS), "-y", "50"]
    subprocess.run([*tmux, "new-session", "-d", "-s", "run", *size, line], check=True, env=env)
    try:
        deadline = time.monotonic() + LIMIT_S
        while not (folder / "ended").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(0.5)
        capture = [*tmux, "capture-pane", "-e", "-p", "-S", "-", "-t", "run"]
        return subprocess.run(capture, check=True, capture_output=True, text=True).stdout.rstrip()
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shown = terminal(Path(folder))
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(f"$ {COMMAND}\n{shown}".replace(str(Path.home()), "~")))
    picture = console.export_svg(title="swe-agent", unique_id="run")
    target.write_text(
        re.sub(r"@font-face \{.*?\}\n", "", picture, flags=re.DOTALL)
    )  # nothing is loaded from elsewhere


if __name__ == "__main__":
    main(Path(sys.argv[1]))
