"""Candidates that harm: the search goes on, the checkout and the host stay as they were."""

from __future__ import annotations

import os
import time

import pytest

from swe_agent.agents.offline.propose import propose
from swe_agent.tools.project.spec import Project

SOURCE = '''
import os
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def harm():
{harm}


def fee(amount, rate):
    """Five per cent of the amount, and no less than one."""
    if amount < 0:
        harm()
    fee = amount * rate // 100
    if fee < 1:
        return 0
    return fee
'''
TESTS = """
from fees import fee

def test_large():
    assert fee(1000, 5) == 50

def test_small():
    assert fee(10, 5) == 1

def test_large_again():
    assert fee(2000, 5) == 100
"""
LEFT = (
    "for each in /proc/[0-9]*; do tr '\\0' ' ' < $each/cmdline; echo; done 2>/dev/null "
    "| grep -E '[o]ffline-repair|sleep 1 $'"
)
"""Processes of the search or of a candidate."""
HARMS = {
    "exit": "os._exit(0)",
    "fork bomb": "while True:\n        os.fork()",
    "shell fork bomb": "subprocess.run(['bash', '-c', 'f() { f | f & }; f; sleep 1'])",
    "endless": "while True:\n        try:\n            while True:\n                pass\n"
    "        except BaseException:\n            pass",
    "memory": "return bytearray(10 << 30)",
    "write": "open(__file__, 'w').write('import nothing')",
    "delete": "shutil.rmtree(HERE, ignore_errors=True)",
    "shell delete": "subprocess.run(['rm', '-rf', HERE + '/fees.py', HERE + '/test_fees.py', HERE + '/.git'])",
    "kill": "os.kill(os.getppid(), signal.SIGKILL)",
    "descriptors": "os.closerange(0, 4096)",
    "recursion": "return harm()",
    "sleep": "import time\n    time.sleep(3600)",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(HARMS))
def test_the_search_survives(make_workspace, project: Project, name: str):
    workspace = make_workspace(
        {"fees.py": SOURCE.format(harm="    " + HARMS[name]), "test_fees.py": TESTS, "data.txt": "kept\n"}
    )
    if "bomb" in name and not workspace.sandbox.walls and os.geteuid() == 0:
        pytest.skip("no sandbox with walls starts here, and nothing bounds the processes of root")
    before = workspace.tree_hash()
    start = time.monotonic()
    found = propose(workspace, project, ["test_fees.py::test_small"], time_limit_s=60, k=3)
    assert time.monotonic() - start < 200
    assert found.patches, found
    assert any("return 1" in proposal.patch.text for proposal in found.patches)
    assert found.tried > 50  # `amount < 0` is on the failing path: its mutants, which call harm, were tried
    assert workspace.tree_hash() == before
    assert workspace.read_text("data.txt") == "kept\n"
    assert workspace.exec("git status --porcelain").output == ""
    assert workspace.exec(LEFT).output == ""
