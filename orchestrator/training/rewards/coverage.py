"""line_coverage: how much of the repository's own code a test command executes, by coverage.py in the sandbox.

The package is carried into the sandbox as a zip of its Python files, so that the environment of the
repository needs nothing installed; `coverage.process_startup` measures whatever Python the command starts.
"""

from __future__ import annotations

import io
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path

from ....tools.project.spec import Project
from ....tools.workspace import Workspace

_FOLDER = ".git/swe-agent-coverage"
_CONFIG = """[run]
parallel = true
branch = false
data_file = {folder}/data
include = {root}/*
omit =
    */test/*
    */tests/*
    */test_*.py
    */*_test.py
    */conftest.py
    */.git/*
    */site-packages/*
disable_warnings = no-ctracer,no-data-collected,module-not-measured,couldnt-parse
[report]
ignore_errors = true
"""
_STARTUP = "import coverage\ncoverage.process_startup()\n"


def line_coverage(workspace: Workspace, project: Project, *, timeout: float | None = None) -> float | None:
    """Executed share of the statements of all non-test files that the tests import, in [0, 1]; None when it
    was not measured (no coverage.py on the host, not Python, the command ran no Python of the repository).
    Works on a fork. Raises: SandboxError."""
    package = _package()
    if package is None:
        return None
    with workspace.fork() as fork:
        folder = f"{fork.root}/{_FOLDER}"
        fork.sandbox.write_bytes(f"{_FOLDER}/coverage.zip", package)
        fork.sandbox.write_bytes(f"{_FOLDER}/sitecustomize.py", _STARTUP.encode())
        fork.sandbox.write_bytes(f"{_FOLDER}/rc", _CONFIG.format(folder=folder, root=fork.root).encode())
        path = f"{folder}:{folder}/coverage.zip"
        command = project.test_command
        env = {
            **project.env,
            **command.env,
            "COVERAGE_PROCESS_START": f"{folder}/rc",
            "COVERAGE_CORE": "pytrace",
        }
        env["PYTHONPATH"] = ":".join(filter(None, [path, env.get("PYTHONPATH")]))
        fork.exec(command.command, timeout=timeout or command.timeout_s, env=env)
        env.pop("COVERAGE_PROCESS_START")
        python = str(project.python) if project.python is not None else "python3"
        report = (
            f"{python} -m coverage combine -q --rcfile={folder}/rc; "
            f"{python} -m coverage json -q --rcfile={folder}/rc -o {folder}/report.json"
        )
        fork.exec(report, timeout=300, env=env)
        try:
            totals = json.loads(fork.sandbox.read_bytes(f"{_FOLDER}/report.json"))["totals"]
        except (OSError, ValueError, KeyError):
            return None
    statements = totals["num_statements"]
    return totals["covered_lines"] / statements if statements else None


def _package() -> bytes | None:
    """coverage.py as a zip that Python imports from."""
    spec = find_spec("coverage")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"coverage/{file.relative_to(root)}"), file.read_bytes())
    return data.getvalue()
