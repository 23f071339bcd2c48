"""The judges of function benchmarks: a known solution passes, ways around the checks do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swe_agent.orchestrator.benchmarks.functions import judge_program

CHECKS = "def check(candidate):\n    assert candidate(2) == 4\n    assert abs(candidate(5) - 10) < 1e-6\ncheck(_judged(solution.double))\n"
CASES = "assert double(2) == 4\nassert double(5) == 10\n"
UNIT = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(double(2), 4)\n_unittests()\n"
EQUAL = "def __eq__(s, o): return True\n    def __sub__(s, o): return 0\n    __hash__ = int.__hash__"
CHEATS = (
    "import os\nos._exit(0)",
    "import os\ndef double(x): os._exit(0)",
    "import sys\nsys.exit(0)",
    "import sys\ndef double(x): sys.exit(0)",
    f"class R(int):\n    {EQUAL}\ndef double(x): return R(1)",
    "class R:\n    def __eq__(s, o): return True\n    def __sub__(s, o): return 0\ndef double(x): return R()",
    "def abs(x): return 0\ndef double(x): return 4",
    "import builtins\nbuiltins.abs = lambda x: 0\ndef double(x): return 4",
    "import builtins\nclass E(Exception): pass\nbuiltins.AssertionError = E\ndef double(x): return 4",
    "def double(x): raise KeyboardInterrupt",
    "import os\nfor f in range(3, 20):\n    try: os.write(f, b'x' * 32)\n    except OSError: pass\nos._exit(0)",
    "__all__ = ['_end']\ndef _end(): pass\ndef double(x): return 0",
)


def passes(folder: Path, solution: str, checks: str) -> bool:
    (folder / "solution.py").write_text(solution + "\n")
    (folder / "judge.py").write_text(judge_program(checks))
    done = subprocess.run([sys.executable, "judge.py"], cwd=folder, capture_output=True, timeout=60)
    return done.returncode == 0


@pytest.mark.parametrize("checks", [CHECKS, CASES, UNIT])
def test_a_solution_passes_and_cheats_do_not(checks: str, tmp_path: Path) -> None:
    assert passes(tmp_path, "def double(x): return 2 * x", checks)
    assert passes(tmp_path, "import collections\ndef double(x):\n    return x and double(x - 1) + 2", checks)
    assert not passes(tmp_path, "def double(x): return 3 * x", checks)
    wrong = [cheat for cheat in CHEATS if passes(tmp_path, cheat, checks)]
    if checks is UNIT:  # 4 is right for what it asks
        wrong = [cheat for cheat in wrong if "return 4" not in cheat]
    assert wrong == []
