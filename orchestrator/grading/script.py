"""The test command of an instance: which files, which command, which variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from ..benchmarks.markers import END, START
from ..benchmarks.sealed import Gold
from .spec import EnvironmentSpec

_NOT_TESTS = (".json", ".png", "csv", ".txt", ".md", ".jpg", ".jpeg", ".pkl", ".yml", ".yaml", ".toml")
_DIFF = re.compile(r"^diff --git a/.* b/(.*)$", re.MULTILINE)
_COMPILED = re.compile(r"\.(pyx|pxd|pxi|c|cc|cpp|cxx|h|hpp|f|f90|pyx\.tp|pyf|in)$|(^|/)meson\.build$")
_SHELL_NOISE = re.compile(
    r"^(source .*activate.*|conda activate .*|git config .*safe\.directory.*|cd /testbed/?)$"
)


@dataclass(frozen=True, slots=True)
class TestPlan:
    """What is run to judge, from /testbed."""

    __test__ = False

    command: str
    env: Mapping[str, str]


def changed_files(patch: str) -> list[str]:
    """Target paths of a diff in git's format."""
    return list(dict.fromkeys(_DIFF.findall(patch)))


def source_files(patch: str) -> list[str]:
    """Files of a diff that exist before it."""
    new = set(re.findall(r"^diff --git a/.* b/(.*)\nnew file mode", patch, re.MULTILINE))
    moved = set(re.findall(r"^rename to (.*)$", patch, re.MULTILINE))
    old = set(re.findall(r"^rename from (.*)$", patch, re.MULTILINE))
    return [name for name in dict.fromkeys([*changed_files(patch), *sorted(old)]) if name not in new | moved]


def new_files(patch: str) -> list[str]:
    """Files that a diff creates."""
    kept = set(source_files(patch))
    return [name for name in changed_files(patch) if name not in kept]


def touches_compiled(patch: str) -> bool:
    """Whether a diff changes sources that must be compiled before the tests see them."""
    return any(_COMPILED.search(name) for name in changed_files(patch))


def directives(repo: str, test_patch: str) -> list[str]:
    """What is appended to the test command: the test files of the test patch (dotted for Django)."""
    names = [name for name in changed_files(test_patch) if not name.endswith(_NOT_TESTS)]
    if repo.lower() != "django/django":
        return names
    return [name.removesuffix(".py").removeprefix("tests/").replace("/", ".") for name in names]


def plan_tests(repo: str, spec: EnvironmentSpec, gold: Gold, python: str) -> TestPlan:
    """The command of a 4.x row comes from the specification, that of a 5.x row from its script."""
    own = _from_script(gold.eval_script) if gold.eval_script else None
    if own is not None:
        return TestPlan(_for_python(own.command, python), own.env)
    command = " ".join([spec.test, *(shlex.quote(name) for name in directives(repo, gold.test_patch))])
    return TestPlan(_for_python(command, python), {})


def command_of_script(script: str) -> str:
    """The test command of an evaluation script: what stands between its markers."""
    plan = _from_script(script)
    return plan.command if plan else script


def _from_script(script: str) -> TestPlan | None:
    """The lines between the markers; variables exported before them. Lines about conda are the image's."""
    before, found, rest = script.partition(START)
    if not found:
        return None
    body = rest.partition(END)[0].splitlines()[1:]
    if body and body[-1].lstrip().startswith((": '", ':"', ': "', "echo")):
        body = body[:-1]
    lines = [
        line
        for line in body
        if line.strip()
        and not _SHELL_NOISE.match(line.strip())
        and not re.match(r"\w*EXIT_CODE\w*=\$\?", line.strip())
    ]
    env: dict[str, str] = {}
    for line in before.splitlines():
        if (export := re.match(r"export (\w+)=(.*)$", line.strip())) and export[1] not in (
            "LANG",
            "LC_ALL",
            "LANGUAGE",
        ):
            env[export[1]] = export[2].strip("'\"")
    return TestPlan("\n".join(lines), env) if lines else None


def _for_python(command: str, python: str) -> str:
    """tox is told the version that is really there."""
    major, minor = python.split(".")[:2]
    return re.sub(r"(tox --current-env -e\s?)py\d+", rf"\g<1>py{major}{minor}", command)
