"""Zygote: one sandbox with frozen pytest sessions, and the conversation with the coordinator in it."""

from __future__ import annotations

import base64
import json
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import SandboxError
from ...project.spec import Project
from ...sandbox import Session
from ...workspace import Workspace
from ..report import TestReport
from .bytecode import Bytecode
from .cold import test_environment
from .delta import Delta
from .request import FOLDER, Events, inside

_NAMES = (
    "swe_agent_report.py",
    "swe_agent_options.py",
    "swe_agent_pytest.py",
    "swe_agent_freezer.py",
    "swe_agent_session.py",
    "swe_agent_tree.py",
    "swe_agent_wire.py",
    "swe_agent_zygote.py",
)
_BOOT_S = 60.0
_GRACE_S = 90.0
_SETTLED = (0, 1, 2, 5)
"""pytest's exit codes after which its results stand: 3 and 4 (internal and usage error) do not."""


@dataclass(frozen=True, slots=True)
class WarmRun:
    """One warm run. `report` is None when its verdict is in doubt; `why` says why."""

    report: TestReport | None
    why: str = ""
    origin: str = ""
    """Which frozen state the run continued from."""
    polluted: bool = False
    """Whether tests wrote into the tree: this zygote must not be used again."""


def pytest_arguments(command: str) -> tuple[list[str], bool] | None:
    """(arguments of pytest, whether it is run with `python -m`), None when the command is not a plain call
    of pytest."""
    if re.search(r"[|&;<>()$`\n*?]", command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:1] and re.fullmatch(r"python(3(\.\d+)?)?", words[0]) and words[1:3] == ["-m", "pytest"]:
        return words[3:], True
    if words[:1] in (["pytest"], ["py.test"]):
        return words[1:], False
    return None


class Zygote:
    """Owns its workspace, which stands on the base commit, and the session in it."""

    def __init__(self, workspace: Workspace, project: Project, bytecode: Bytecode | None = None) -> None:
        """Raises: SandboxError when it does not start or this kind of sandbox has no sessions."""
        self._workspace = workspace
        self._session: Session | None = None
        self.usable = True
        self.last_origin = ""
        """The frozen state that the latest run continued from."""
        arguments = pytest_arguments(project.test_command.command)
        if arguments is None or project.python is None:
            raise SandboxError("the test command is not a plain call of pytest")
        words, as_module = arguments
        sandbox = workspace.sandbox
        root = sandbox.root
        self._folder = f"{FOLDER}/zygote"
        for name in _NAMES:
            sandbox.write_bytes(f"{self._folder}/{name}", inside(name))
        setup = {
            "root": str(root),
            "restore": {},
            "bytecode": str(root / self._folder / "pycache"),
            "shared_bytecode": None if bytecode is None else bytecode.seed(sandbox, self._folder),
            "path": [str(root)] if as_module else [str(project.python.parent)],
            "argv": ["pytest", *words],
            "arguments": [*words, "-o", f"cache_dir={root / FOLDER / 'pytest_cache'}"],
        }
        sandbox.write_bytes(f"{self._folder}/setup.json", json.dumps(setup).encode())
        script = root / self._folder / "swe_agent_zygote.py"
        env = test_environment(project, root)
        # A second thread of a numeric library would forbid freezing; one thread computes the same.
        env = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **env}
        self._session = sandbox.open_session(
            [str(project.python), str(script), str(root / self._folder)], env=env
        )
        try:
            self._session.receive(_BOOT_S)
        except (TimeoutError, SandboxError) as error:
            self.close()
            raise SandboxError(f"the warm test process does not start: {error}") from error

    def run(
        self,
        delta: Delta,
        selection: Sequence[str],
        *,
        timeout: float,
        origin: str = "",
        preload: bool = False,
    ) -> WarmRun:
        """Run the tests on the tree that `delta` describes.

        `origin="session"` starts from before any test was looked at; `preload` imports installed modules
        ahead then. Raises: SandboxError when the zygote is gone.
        """
        assert self._session is not None
        root = self._workspace.root
        folder = f"{self._folder}/run-{secrets.token_hex(6)}"
        request = {"root": str(root), "select": list(selection), "restore": {}}
        order = {
            "op": "run",
            "folder": str(root / folder),
            "request": request,
            "state": {path: list(known) for path, known in delta.state.items()},
            "contents": {
                path: base64.b64encode(data).decode("ascii") for path, data in delta.contents.items()
            },
            "key": json.dumps(sorted(selection)),
            "timeout": timeout,
            "from": origin,
            "preload": preload,
        }
        return self._read(self._ask(order, timeout + _GRACE_S))

    def forget_preloaded(self) -> None:
        """Do without preloaded installed modules from now on."""
        self._ask({"op": "forget"}, _GRACE_S)

    def _ask(self, order: Mapping[str, object], timeout: float) -> Mapping[str, Any]:
        assert self._session is not None
        try:
            self._session.send(json.dumps(order).encode())
            answer = json.loads(self._session.receive(timeout))
        except (TimeoutError, ValueError, SandboxError) as error:
            self.usable = False
            raise SandboxError(f"the warm test process is gone: {error}") from error
        return answer if isinstance(answer, dict) else {}

    def _read(self, answer: Mapping[str, Any]) -> WarmRun:
        if answer.get("lost") or not isinstance(answer.get("exit"), int):
            return WarmRun(None, str(answer.get("why") or "the frozen process was lost"))
        origin = self.last_origin = str(answer.get("from") or "")
        strangers = answer.get("strangers") or []
        if strangers:
            self.usable = False
        events = Events.parse(str(answer.get("report") or "").encode("utf-8", "surrogateescape"))
        status = int(answer["exit"])
        code = status >> 8 if status & 0x7F == 0 else 128 + (status & 0x7F)
        timed_out = bool(answer.get("timed_out"))
        report = events.report(
            exit_code=124 if timed_out else code,
            duration_s=float(answer.get("duration") or 0.0),
            output=str(answer.get("output") or ""),
            timed_out=timed_out,
            log_path=None,
            warm=True,
            placeless=self._workspace.sandbox.placeless,
        )
        if timed_out:
            return WarmRun(None, "the run took too long", origin, bool(strangers))
        if code not in _SETTLED or events.done is None:
            return WarmRun(None, f"the run ended with exit code {code}", origin, bool(strangers))
        return WarmRun(report, "", origin, bool(strangers))

    def close(self) -> None:
        self.usable = False
        if self._session is not None:
            self._session.close()
        self._workspace.close()
