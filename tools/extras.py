"""How an optional part of this installation is installed, as a command that works where it is printed."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote

ROOT = Path(__file__).resolve().parents[1]


def install_command(extra: str) -> str:
    """`PYTHON -m pip install -e 'CHECKOUT[extra]'` in a checkout, else by the distribution's name."""
    checkout = (ROOT / "pyproject.toml").is_file()
    target = f"-e {quote(f'{ROOT}[{extra}]')}" if checkout else quote(f"swe-agent[{extra}]")
    return f"{quote(sys.executable)} -m pip install {target}"
