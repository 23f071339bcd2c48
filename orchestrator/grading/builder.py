"""Builder: the steps that turn a checkout and a specification into an environment.

The adaptations of native builds: byte-compile (uv does not), setuptools editables as plain path entries
(`editable_mode=compat`), no build isolation where the pinned setuptools has no editable hook, wrappers
for tox's interpreter links, freezes without dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...tools.project.interpreters import Interpreter
from .constraints import name_of
from .installer import Installer
from .missing import missing_requirement
from .spec import EnvironmentSpec

_COMPILE = (
    "import compileall,re,sys;sys.setrecursionlimit(9999);"
    "compileall.compile_dir('.',quiet=2,maxlevels=30,workers=0,rx=re.compile(r'[/\\\\](tests?|testing)[/\\\\]'))"
)
"""Tests are left out: a run imports few of them."""


_MOST_MISSING = 4
"""Packages that one build may ask for while it runs."""


class Builder(Installer):
    """Prepares `directory/testbed` in an environment that holds the packages of the specification."""

    def __init__(
        self,
        directory: Path,
        spec: EnvironmentSpec,
        env: Mapping[str, str],
        cutoff: str | None,
        interpreter: Interpreter,
        created: str | None = None,
    ) -> None:
        """`created` is the date of the commit: what it needs to be built may not go with what came later."""
        super().__init__(directory, spec, env, cutoff, interpreter)
        if created and cutoff and created < cutoff:
            self.other_dates.insert(0, created)
        self.testbed = self.workdir = directory / "testbed"
        self._added: list[tuple[str, str | None]] = []

    def build(self) -> None:
        """Raises: ProjectError naming the step that failed and the log."""
        for command in self.spec.pre_install:
            if self.run(["bash", "-c", command]) != 0:
                self.notes.append(f"a preparation step did nothing: {command}")
        self._install_project()
        self._install_runner()
        self.run([str(self.venv / "bin/python"), "-W", "ignore", "-c", _COMPILE])

    def commit(self, date: str) -> str:
        """Commit what the preparation changed in tracked files. Returns the commit. Raises: ProjectError."""
        script = (
            f"export GIT_AUTHOR_DATE={date} GIT_COMMITTER_DATE={date}; git add -u && "
            "git commit --quiet --allow-empty --no-verify --message=environment && git rev-parse HEAD"
        )
        code = self.run(["bash", "-c", script])
        found = re.findall(r"^[0-9a-f]{40,64}$", self.last, re.MULTILINE)
        if code != 0 or not found:
            self.fail("the prepared repository could not be committed")
        return found[-1]

    def _install_project(self) -> None:
        extras = f"[{self.spec.extras}]" if self.spec.extras else ""
        plain = [] if self.spec.build_isolation else ["--no-build-isolation"]
        compat = ["--config-setting" if self.uv else "--config-settings", "editable_mode=compat"]
        target = ["-e", f".{extras}"]
        hooks = self.spec.pep517 and self.interpreter.release >= (
            3,
            7,
        )  # no setuptools for 3.6 has editable ones
        if hooks:
            tries = [[*plain, *compat, *target], [*compat, "--no-build-isolation", *target]]
            if self.pip_until(*tries):
                return
        python = str(self.venv / "bin/python")
        legacy = [python, "-m", "pip", "install", "-q", "--no-build-isolation"]

        def installed(date: str | None, what: Sequence[str]) -> bool:
            return self._adding(lambda: self.run([*legacy, *what], date), date) == 0

        if self.until(lambda date: installed(date, target)):
            self.notes.append("installed by pip, without build isolation")
        elif self.run([python, "setup.py", "-q", "develop", "--no-deps"]) == 0:
            self.notes.append("installed by setup.py develop, without its dependencies")
        elif self.until(lambda date: installed(date, [f".{extras}"])):
            self.notes.append("installed as a copy: an editable install failed")
        else:
            self.fail("the project could not be installed")

    def _pip(self, target: Sequence[str], date: str | None) -> int:
        if "--no-build-isolation" not in target:
            return super()._pip(target, date)
        return self._adding(lambda: super(Builder, self)._pip(target, date), date)

    def _adding(self, attempt: Callable[[], int], date: str | None) -> int:
        """The exit code of `attempt`, a build in the environment itself. One that stops at a missing package which
        only its running names goes on with it, of the same date; each is tried once a date."""
        code = attempt()
        while code != 0 and len(self._added) < _MOST_MISSING:
            wanted = missing_requirement(self.last, self.testbed)
            if wanted is None or (wanted, date) in self._added:
                break
            self._added.append((wanted, date))
            if super()._pip([wanted, *self._pins()], date) != 0:
                self._constraints = [pin for pin in self._constraints if name_of(pin) != name_of(wanted)]
                if super()._pip([wanted, *self._pins()], date) != 0:
                    break
            self.note(f"{wanted} was added: the running build needs it")
            code = attempt()
        return code

    def _install_runner(self) -> None:
        """pytest, where the test command names it and nothing of the specification brought it."""
        runner = self.spec.test.split()[:1]
        if runner == ["pytest"] and not (self.venv / "bin/pytest").exists():
            self.note("pytest was named by no requirement and was added")
            self.install(["pytest"])
