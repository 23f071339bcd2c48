"""Runners: which command runs a repository's tests, and how its ids and results are to be read."""

from __future__ import annotations

import json
import re
import shlex

from .manifest import Manifest
from .spec import Inference, Runner, TestCommand

PYTEST = "python -m pytest"
UNITTEST = "python -m unittest discover"
_SHELL = set("|&;<>()$`\n")
_COVERAGE = re.compile(r"^(?:(?:\S*python\S*|\$\S+) -m )?coverage run (?:-\S+ )*?-m ?")
_SAYS = re.compile(
    r"(?:(?:\S*python\S*|\$\S+) -m )?(?:echo|coverage (?:report|html|xml|combine|erase)|flake8|ruff|black|mypy|pylint|"
    r"isort|pyflakes|pycodestyle)\b"
)
"""Lines of a recipe that print, measure or check style: what the tests come to does not hang on them."""
_STARTS_TESTS = re.compile(
    r"^(?:\S*python\S* -m )?(?:tox|nox|nosetests|nose2|hatch|trial|green)\b|\bsetup\.py\s+test\b"
)
_PLACES = ("PATH", "PYTHONPATH", "PYTHONHOME", "HOME", "TMPDIR", "VIRTUAL_ENV")


def find_test_command(manifest: Manifest, wanted: str | None = None) -> tuple[TestCommand, list[Inference]]:
    """The command for the whole suite: `wanted` (--test-cmd) as it stands, else what the repository's
    configuration, its Makefile or tox file and its tests themselves point to."""
    if wanted:
        runner = runner_of(wanted)
        return TestCommand(wanted, runner, junit_of(wanted)), [_said(wanted, runner, "--test-cmd")]
    for command, why in (
        *_django(manifest),
        *_pytest_signs(manifest),
        *_commands_of_others(manifest),
        *_make(manifest),
        *_unittest(manifest),
        *_doctests(manifest),
        *_other_languages(manifest),
    ):
        runner = runner_of(command)
        env = _tox_environment(manifest)
        said = [_said(command, runner, why)]
        if env:
            shown = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
            said.append(Inference("test environment", shown, "tox's setenv", "--test-cmd"))
        return TestCommand(command, runner, junit_of(command), env), said
    return TestCommand(PYTEST, "pytest"), [
        _said(PYTEST, "pytest", "no tests were recognised; pytest is the default")
    ]


def _tox_environment(manifest: Manifest) -> dict[str, str]:
    """Variables that tox sets for every environment; those made of tox's own values, and those that say
    where programs and modules are, are left out."""
    lines = [
        line
        for key in ("setenv", "set_env")
        for line in manifest.cfg(manifest.tox, "testenv", key).splitlines()
    ]
    table = manifest.toml("tool", "tox", "env_run_base", "set_env")
    pairs = [line.partition("=")[::2] for line in lines if "=" in line]
    pairs += [(k, v) for k, v in (table.items() if isinstance(table, dict) else ()) if isinstance(v, str)]
    env = {name.strip(): value.strip() for name, value in pairs}
    return {
        name: value
        for name, value in env.items()
        if re.fullmatch(r"[A-Za-z_]\w*", name) and "{" not in value and name not in _PLACES
    }


def runner_of(command: str) -> Runner:
    """How a command's results are read."""
    if re.search(r"(^|[\s/;&|])(py\.test|pytest)(\s|$)|-m\s*pytest\b", command):
        return "pytest"
    if re.search(r"\bmanage\.py\s+(\S+\s+)*?test\b|(^|[\s/])runtests\.py\b", command):
        return "django"
    if re.search(r"-m\s*unittest\b|\bsetup\.py\s+test\b", command):
        return "unittest" if "unittest" in command else "custom"
    return "custom"


def junit_of(command: str) -> str | None:
    """Path of the JUnit XML that a command writes by its own flags."""
    if runner_of(command) == "pytest":
        return None
    match = re.search(r"--(?:junit-?xml|junit-?file|xunit-file|junit-path|output-junit)[=\s]+(\S+)", command)
    if match is None and re.search(r"junit|xunit", command):
        # A reporter is asked for by name, and its file by another flag.
        match = re.search(r"""(?:[=\s>"']|^)([\w./*@-]+\.xml)(?=[\s"']|$)""", command)
    return match[1].strip("'\"") if match else None


def is_simple(command: str) -> bool:
    """Whether the command is one program with arguments, so that arguments may be appended."""
    return not _SHELL & set(command)


def _django(manifest: Manifest) -> list[tuple[str, str]]:
    if manifest.has("tests/runtests.py") and "django" in manifest.text("tests/runtests.py"):
        return [("python tests/runtests.py", "tests/runtests.py sets Django up")]
    if manifest.has("manage.py") and "django" in manifest.text("manage.py"):
        if any("DJANGO_SETTINGS_MODULE" in text for text in _pytest_configuration(manifest)):
            return [(PYTEST, "pytest-django is configured")]
        return [("python manage.py test", "manage.py is a Django project's")]
    if manifest.has("runtests.py") and "django" in manifest.text("runtests.py"):
        return [("python runtests.py", "runtests.py sets Django up")]
    below = [path for path in manifest.python_files if path.endswith("/manage.py") and path.count("/") < 3]
    outside = (
        [t for t in manifest.test_files if not t.startswith(f"{below[0].removesuffix('manage.py')}")]
        if below
        else []
    )
    if len(below) == 1 and not outside and "django" in manifest.text(below[0]):
        folder = below[0].removesuffix("/manage.py")
        return [(f"cd {shlex.quote(folder)} && python manage.py test", f"{below[0]} is a Django project's")]
    return []


def _pytest_configuration(manifest: Manifest) -> list[str]:
    found = [manifest.text("pytest.ini") or manifest.text(".pytest.ini")]
    if manifest.toml("tool", "pytest") is not None:
        found.append(manifest.text("pyproject.toml"))
    if manifest.tox.has_section("pytest"):
        found.append(manifest.text("tox.ini"))
    if manifest.setup_cfg.has_section("tool:pytest"):
        found.append(manifest.text("setup.cfg"))
    return [text for text in found if text]


def _pytest_signs(manifest: Manifest) -> list[tuple[str, str]]:
    if _pytest_configuration(manifest):
        return [(_pytest(manifest), "pytest is configured")]
    conftest = next((p for p in manifest.python_files if p.rsplit("/", 1)[-1] == "conftest.py"), None)
    if conftest:
        return [(_pytest(manifest), f"{conftest} is pytest's")]
    for path in manifest.test_files[:300]:
        if re.search(r"^\s*(import|from)\s+pytest\b", manifest.text(path), re.MULTILINE):
            return [(_pytest(manifest), f"{path} imports pytest")]
    metadata = "\n".join(
        manifest.text(p) for p in ("pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "noxfile.py")
    )
    if re.search(r"""["'\s]pytest\b(?!-)""", metadata):
        return [(_pytest(manifest), "the packaging files name pytest")]
    return []


def _commands_of_others(manifest: Manifest) -> list[tuple[str, str]]:
    """A Makefile's `test` target or tox's commands: a single Python test command, so that its results can be read
    test by test."""
    recipe, target = _recipe(manifest)
    found = [(_python(line), f"the Makefile's {target} target") for line in _readable(recipe)]
    commands = manifest.cfg(manifest.tox, "testenv", "commands").replace("\\\n", " ")
    for line in commands.splitlines():
        line = re.sub(r"\{posargs:?([^}]*)\}", r"\1", line.strip().lstrip("-"))
        line = line.replace("{envpython}", "python").replace("{toxinidir}/", "").strip()
        if runner_of(line) != "custom" and is_simple(line) and "{" not in line:
            found.append((_python(line), "tox's commands"))
            break
    return found


def _make(manifest: Manifest) -> list[tuple[str, str]]:
    """A `test` target that is more than one test command: it runs through make, and comes to one result. Where
    tests are written for unittest or pytest and the target does nothing but start them, they are run as such."""
    recipe, target = _recipe(manifest)
    if not recipe or (manifest.test_files and all(_STARTS_TESTS.search(line) for line in recipe)):
        return []
    return [(f"make {target}", f"the Makefile's {target} target")]


def _recipe(manifest: Manifest) -> tuple[list[str], str]:
    """The lines of the Makefile's test target that matter, and its name."""
    text = next((t for name in ("Makefile", "makefile", "GNUmakefile") if (t := manifest.text(name))), "")
    match = re.search(r"^(tests?|check)\s*:[^=\n]*\n((?:\t.*\n?|\s*\n)+)", text, re.MULTILINE)
    if match is None:
        return [], ""
    lines = [line.strip().lstrip("@-") for line in match[2].splitlines() if line.strip()]
    return [line for line in lines if not _SAYS.match(line)], match[1]


def _readable(recipe: list[str]) -> list[str]:
    """The recipe's one line, when that is a test command, maybe under coverage."""
    lines = [_COVERAGE.sub("python -m ", line) for line in recipe]
    good = len(lines) == 1 and runner_of(lines[0]) != "custom" and is_simple(lines[0])
    return lines if good else []


def _python(command: str) -> str:
    words = shlex.split(command)
    if words and re.fullmatch(r"\$?[({]?PYTHON[)}]?|python3?(\.\d+)?", words[0]):
        words[0] = "python"
    words = [
        part for word in words for part in (("-m", word[2:]) if word[:2] == "-m" and word[2:] else (word,))
    ]
    return shlex.join(words)


def _unittest(manifest: Manifest) -> list[tuple[str, str]]:
    plain_functions = False
    for path in manifest.test_files:
        text = manifest.text(path)
        if re.search(r"^(async )?def test", text, re.MULTILINE):
            plain_functions = True
        if re.search(r"^\s*(import|from)\s+unittest\b", text, re.MULTILINE) and not plain_functions:
            folder = path.rsplit("/", 1)[0] if "/" in path else "."
            return [(_discover(manifest, folder), f"{path} uses unittest")]
    if manifest.test_files:
        return [(_pytest(manifest), f"{manifest.test_files[0]} looks like a test")]
    return []


def _pytest(manifest: Manifest) -> str:
    """pytest's command; it does not look into `tests.py` by itself."""
    names = {path.rsplit("/", 1)[-1] for path in manifest.test_files}
    usual = not names or any(name.startswith("test_") or name.endswith("_test.py") for name in names)
    if usual or any("python_files" in text for text in _pytest_configuration(manifest)):
        return PYTEST
    return f"{PYTEST} -o python_files={shlex.quote(' '.join(sorted(names)[:20]))}"


def _doctests(manifest: Manifest) -> list[tuple[str, str]]:
    """Where there are no test files, the examples in docstrings are the tests."""
    for path in manifest.python_files[:2000]:
        if re.search(r"^[ \t]*>>> ", manifest.text(path), re.MULTILINE):
            return [(f"{PYTEST} --doctest-modules", f"{path} holds doctests, and there are no test files")]
    return []


def _other_languages(manifest: Manifest) -> list[tuple[str, str]]:
    """What a repository without Python says of its tests."""
    if manifest.python_files:
        return []
    found = [
        (command, f"{name} and no Python file")
        for name, command in (("Cargo.toml", "cargo test"), ("go.mod", "go test ./..."))
        if manifest.has(name)
    ]
    try:
        scripts = json.loads(manifest.text("package.json"))["scripts"]
        if isinstance(scripts["test"], str):
            found.insert(0, ("npm test", "package.json's test script, and no Python file"))
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return found


def _discover(manifest: Manifest, folder: str) -> str:
    """unittest finds tests below a start folder only when each folder on the way is a package."""
    top = folder.split("/")[0]
    packages = all(
        manifest.has("/".join([*folder.split("/")[: i + 1], "__init__.py"]))
        for i in range(len(folder.split("/")))
    )
    start = "" if folder == "." or packages else f" -s {shlex.quote(top if top == folder else folder)}"
    names = {p.rsplit("/", 1)[-1] for p in manifest.test_files}
    pattern = "" if any(n.startswith("test") for n in names) else " -p '*_test*.py'"
    return f"{UNITTEST}{start}{pattern}"


def _said(command: str, runner: str, why: str) -> Inference:
    return Inference("tests", f"{command} ({runner})", why, "--test-cmd")
