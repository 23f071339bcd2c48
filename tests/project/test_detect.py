"""What is found out about a repository from its files alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.errors import ProjectError
from swe_agent.tools.project.interpreters import choose, installed, requires_python
from swe_agent.tools.project.manifest import Manifest
from swe_agent.tools.project.nested import nested_projects
from swe_agent.tools.project.requirements import find_requirements
from swe_agent.tools.project.resolve import host_requirements, import_paths, locked_versions
from swe_agent.tools.project.runners import find_test_command, is_simple, runner_of

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def manifest(root: Path, files: Mapping[str, str]) -> Manifest:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Manifest(root)


RUNNERS = {
    "pytest is configured": ({"pyproject.toml": "[tool.pytest.ini_options]\n", "t/test_a.py": ""}, "python -m pytest", "pytest"),
    "setup.cfg": ({"setup.cfg": "[tool:pytest]\naddopts=-q\n"}, "python -m pytest", "pytest"),
    "conftest": ({"tests/conftest.py": "", "tests/test_a.py": "import unittest\n"}, "python -m pytest", "pytest"),
    "imports pytest": ({"tests/test_a.py": "import pytest\n"}, "python -m pytest", "pytest"),
    "plain functions": ({"tests/test_a.py": "def test_x(): pass\n"}, "python -m pytest", "pytest"),
    "unittest, a package": (
        {"tests/__init__.py": "", "tests/test_a.py": "import unittest\n"}, "python -m unittest discover", "unittest",
    ),
    "unittest, a folder": (
        {"tests/test_a.py": "from unittest import TestCase\n"}, "python -m unittest discover -s tests", "unittest",
    ),
    "django": (
        {"manage.py": "from django.core.management import x\n", "app/tests.py": "import unittest\n"},
        "python manage.py test", "django",
    ),
    "pytest-django": (
        {"manage.py": "import django\n", "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE=a.b\n"}, "python -m pytest", "pytest",
    ),
    "django itself": ({"tests/runtests.py": "import django\n"}, "python tests/runtests.py", "django"),
    "tox": ({"tox.ini": "[testenv]\ncommands = python -m unittest discover -v {posargs}\n"}, "python -m unittest discover -v", "unittest"),
    "make, one command": ({"Makefile": "test:\n\t@python3 -m unittest discover -s t\n"}, "python -m unittest discover -s t", "unittest"),
    "make, a recipe": ({"Makefile": "all:\n\ttrue\ntest: all\n\t./a\n\t./b\n"}, "make test", "custom"),
    "make, in one word": (
        {"makefile": "test:\n\tpython3 -munittest\n\ncoverage:\n\tcoverage run -m unittest\n", "tests.py": "import unittest\n"},
        "python -m unittest", "unittest",
    ),
    "make, under coverage": (
        {"Makefile": "check:\n\t@echo tests\n\tcoverage run --branch -m unittest discover t\n\tcoverage report -m\n"},
        "python -m unittest discover t", "unittest",
    ),
    "make, that starts tox": (
        {"Makefile": "test:\n\ttox\n", "tests/test_a.py": "from unittest import TestCase\n"},
        "python -m unittest discover -s tests", "unittest",
    ),
    "tests.py, for pytest": ({"a.py": "", "tests.py": "import pytest\n"}, "python -m pytest -o python_files=tests.py", "pytest"),
    "a manage.py below": (
        {"api/manage.py": "import django\n", "api/shop/tests.py": "import unittest\n"},
        "cd api && python manage.py test", "django",
    ),
    "npm": ({"package.json": '{"scripts": {"test": "node --test"}}', "a.js": ""}, "npm test", "custom"),
    "cargo": ({"Cargo.toml": "", "package.json": "{"}, "cargo test", "custom"),
    "go": ({"go.mod": ""}, "go test ./...", "custom"),
    "tests.py": ({"a.py": "", "tests.py": "def test_x(): pass\n"}, "python -m pytest -o python_files=tests.py", "pytest"),
    "doctests": ({"a.py": "def f():\n    \"\"\"\n    >>> f()\n    \"\"\"\n"}, "python -m pytest --doctest-modules", "pytest"),
    "nothing": ({"a.py": ""}, "python -m pytest", "pytest"),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNNERS)
def test_the_test_command(name: str, tmp_path: Path) -> None:
    files, command, runner = RUNNERS[name]
    found, inferences = find_test_command(manifest(tmp_path, files))
    assert (found.command, found.runner) == (command, runner)
    assert inferences[0].flag == "--test-cmd"
    assert inferences[0].why


@pytest.mark.parametrize(
    ("command", "runner"),
    [
        ("cd x && FOO=1 pytest -q", "pytest"),
        ("python3 -m pytest", "pytest"),
        ("python -m unittest a.b", "unittest"),
        ("./manage.py test --parallel", "django"),
        ("npm test", "custom"),
        ("make pytests", "custom"),
        ("pytest-watch", "custom"),
    ],
)
def test_a_given_command_is_read_by_its_runner(command: str, runner: str, tmp_path: Path) -> None:
    found, _ = find_test_command(manifest(tmp_path, {}), command)
    assert found.command == command
    assert found.runner == runner == runner_of(command)


@pytest.mark.parametrize(
    ("command", "junit"),
    [
        ("gotestsum --junitfile out/a.xml", "out/a.xml"),
        ("node --test --test-reporter=junit --test-reporter-destination=out.xml", "out.xml"),
        ("vitest run --reporter=junit --outputFile='out/j.xml'", "out/j.xml"),
        ("mvn test  # junit target/surefire-reports/*.xml", "target/surefire-reports/*.xml"),
        ("mvn -f pom.xml test", None),
        ("pytest --junitxml=a.xml", None),
    ],
)
def test_junit_flags_are_seen(command: str, junit: str | None, tmp_path: Path) -> None:
    found, _ = find_test_command(manifest(tmp_path, {}), command)
    assert found.junit == junit
    assert not is_simple("a | b")
    assert is_simple("a --b 'c d'")


REQUIREMENTS = {
    "extras": (
        {"pyproject.toml": '[project]\nname="x"\ndependencies=["six"]\n[project.optional-dependencies]\ntest=["pytest"]\ndocs=["sphinx"]\n'},
        {"six", "pytest"}, ["test"],
    ),
    "groups": (
        {"pyproject.toml": '[project]\nname="x"\n[dependency-groups]\ntests=["pytest", {include-group="more"}]\nmore=["mock"]\nlint=["ruff"]\n'},
        {"pytest", "mock"}, [],
    ),
    "poetry": (
        {"pyproject.toml": '[tool.poetry]\nname="x"\n[tool.poetry.group.test.dependencies]\npytest="^8.1"\nmock={version="~2.1",extras=["a"]}\nlocal={path="y"}\n'},
        {"pytest>=8.1,<9", "mock[a]>=2.1,<2.2"}, [],
    ),
    "requirements": (
        {"requirements.txt": "six\n-r more.txt\n# no\nhttp-thing==1 --hash=sha256:0\n", "more.txt": "attrs # yes\n", "test-requirements.txt": "pytest\n"},
        {"six", "attrs", "http-thing==1", "pytest"}, [],
    ),
    "setup.py": (
        {"setup.py": "from setuptools import setup\nT=['pytest']\nsetup(name='x', extras_require={'testing': T + ['mock']})\n"},
        {"pytest"}, ["testing"],
    ),
    "setup.cfg": (
        {"setup.cfg": "[metadata]\nname=x\n[options.extras_require]\ndev=\n  pytest\n"}, {"pytest"}, ["dev"],
    ),
    "tox": (
        {"tox.ini": "[testenv]\ndeps =\n  pytest\n  py27: mock\n  !x: six\n  {env:OTHER}\n  -rdeps.txt\ncommands=pytest\n", "deps.txt": "attrs\n"},
        {"pytest", "six", "attrs"}, [],
    ),
    "nox": (
        {"noxfile.py": "def tests(session):\n    session.install('pytest', 'mock', '-r', 'r.txt')\n", "r.txt": "six\n", "test_a.py": "import pytest\n"},
        {"pytest", "mock", "six"}, [],
    ),
    "imports": (
        {"a.py": "import yaml\n", "test_a.py": "import pytest, numpy, a, nosuchthing\ndef test_m(mocker): pass\n"},
        {"pytest", "PyYAML", "numpy", "pytest-mock"}, [],
    ),
    "options": (
        {"pytest.ini": "[pytest]\naddopts = --cov=x -n auto\nasyncio_mode = auto\n"},
        {"pytest", "pytest-cov", "pytest-xdist", "pytest-asyncio"}, [],
    ),
    "itself": (
        {"pyproject.toml": '[project]\nname="My.Pkg"\n[dependency-groups]\ntest=["my_pkg[fast]", "pytest"]\n', "requirements-test.txt": "-e .[slow]\n./sub\ngit+https://localhost/x\n"},
        {"pytest"}, ["fast", "slow"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements(name: str, tmp_path: Path) -> None:
    files, names, extras = REQUIREMENTS[name]
    repository = manifest(tmp_path, files)
    command, _ = find_test_command(repository)
    found = find_requirements(repository, runner=command.runner)
    wanted, deferred = host_requirements(repository, found)
    assert names <= set(wanted) | {n for n in names if n == "pytest" and found.extras}
    assert set(wanted) <= names | {"pytest"}
    assert found.extras == extras
    if name == "itself":
        assert deferred == ["./sub", "git+https://localhost/x"]
        assert found.install_repository


def test_versions_of_a_lock_file_that_are_not_ambiguous(tmp_path: Path) -> None:
    lock = (
        '[[package]]\nname="x"\nversion="1"\nsource={editable="."}\n'
        '[[package]]\nname="six"\nversion="1.2"\nsource={registry="r"}\n'
        '[[package]]\nname="two"\nversion="1"\n[[package]]\nname="two"\nversion="2"\n'
        '[[package]]\nname="vcs"\nversion="1"\nsource={git="g"}\n'
    )
    assert locked_versions(
        manifest(tmp_path, {"uv.lock": lock, "pyproject.toml": '[project]\nname="x"\n'})
    ) == ["six==1.2"]


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ({"src/pkg/__init__.py": ""}, ("src", ".")),
        ({"pkg/__init__.py": ""}, (".",)),
        ({"setup.py": "setup(package_dir={'': 'lib'})", "lib/pkg/__init__.py": ""}, ("lib", ".")),
        (
            {"pyproject.toml": '[tool.setuptools.packages.find]\nwhere=["../out", "py"]\n', "py/a.py": ""},
            ("py", "."),
        ),
    ],
)
def test_where_packages_are(files: dict[str, str], paths: tuple[str, ...], tmp_path: Path) -> None:
    assert import_paths(manifest(tmp_path / "r", files)) == paths


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject.toml": '[project]\nrequires-python=">=3.9"\n'}, ">=3.9"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython="^3.9"\n'}, "<4,>=3.9"),
        ({"setup.cfg": "[options]\npython_requires = >=3.7\n"}, ">=3.7"),
        ({"setup.py": "from setuptools import setup\nV='>=3.6'\nsetup(python_requires=V)\n"}, ">=3.6"),
        ({"setup.py": "this is not python\n"}, None),
        ({}, None),
    ],
)
def test_the_declared_python(files: dict[str, str], expected: str | None, tmp_path: Path) -> None:
    found, _ = requires_python(manifest(tmp_path, files))
    assert (str(found) if found is not None else None) == expected


def test_the_interpreter(tmp_path: Path) -> None:
    assert HERE in [f"{i.minor[0]}.{i.minor[1]}" for i in installed()]
    plain = manifest(tmp_path, {})
    assert choose(plain, None)[0].version.startswith(HERE)
    assert choose(plain, HERE)[0].version.startswith(HERE)
    assert choose(plain, sys.executable)[0].version.startswith(HERE)
    with pytest.raises(ProjectError, match="--python"):
        choose(plain, "2.4")
    with pytest.raises(ProjectError, match="--python"):
        choose(plain, "/no/such/python")
    with pytest.raises(ProjectError, match="--python"):
        choose(manifest(tmp_path, {"setup.cfg": "[options]\npython_requires = >=9\n"}), None)


@given(
    text=st.text(max_size=200),
    name=st.sampled_from(
        [
            "pyproject.toml",
            "setup.cfg",
            "setup.py",
            "tox.ini",
            "uv.lock",
            "requirements.txt",
            "Makefile",
            "noxfile.py",
            "pytest.ini",
            "test_x.py",
        ]
    ),
)
def test_broken_files_never_raise(text: str, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("broken")
    (root / name).write_text(text, encoding="utf-8", errors="replace")
    repository = Manifest(root)
    command, _ = find_test_command(repository)
    host_requirements(repository, find_requirements(repository, runner=command.runner))
    requires_python(repository)
    locked_versions(repository)
    import_paths(repository)


def test_links_out_of_the_repository_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text('[project]\nname="secret"\n')
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/pyproject.toml").symlink_to(tmp_path / "secret.toml")
    (tmp_path / "repo/setup.py").symlink_to("setup.py")
    repository = Manifest(tmp_path / "repo")
    assert repository.pyproject == {}
    assert repository.text("setup.py") == ""


PACKAGE = "[project]\nname = 'p'\nversion = '1'\n"


@pytest.mark.parametrize(
    ("files", "nested"),
    [
        ({"a/pyproject.toml": PACKAGE, "a/tests/test_a.py": "", "b/pyproject.toml": PACKAGE}, ["a"]),
        (
            {"x/y/setup.py": "", "x/y/test_a.py": "", "z/requirements.txt": "", "z/test_z.py": ""},
            ["x/y", "z"],
        ),
        ({"a/pyproject.toml": PACKAGE, "a/test_a.py": "", "test_root.py": ""}, []),
        ({"pyproject.toml": PACKAGE, "a/pyproject.toml": PACKAGE, "a/test_a.py": ""}, []),
        ({"requirements.txt": "", "a/pyproject.toml": PACKAGE, "a/test_a.py": ""}, []),
        (
            {
                "pyproject.toml": "[tool.uv.workspace]\nmembers = ['p/*', '../out']\nexclude = ['p/c']\n",
                "p/a/pyproject.toml": PACKAGE,
                "p/b/pyproject.toml": "",
                "p/c/pyproject.toml": PACKAGE,
            },
            ["p/a"],
        ),
    ],
)
def test_projects_below_the_root(files: dict[str, str], nested: list[str], tmp_path: Path) -> None:
    assert nested_projects(manifest(tmp_path / "repo", files)) == nested


def test_what_projects_below_the_root_need(tmp_path: Path) -> None:
    files = {
        "a/pyproject.toml": f"{PACKAGE}[project.optional-dependencies]\ntest = ['tomli']\n",
        "a/test_a.py": "",
        "b/requirements.txt": "six\n",
        "b/test_b.py": "",
    }
    found = find_requirements(manifest(tmp_path, files), runner="pytest")
    assert found.nested == ["a[test]"]
    assert found.files == ["b/requirements.txt"]


def test_the_environment_that_tox_sets(tmp_path: Path) -> None:
    tox = "[testenv]\nsetenv =\n  MODE = test\n  HERE = {toxinidir}/x\n  PATH = /x\ncommands = pytest\n"
    command, said = find_test_command(manifest(tmp_path, {"tox.ini": tox, "test_a.py": ""}))
    assert command.env == {"MODE": "test"}
    assert said[-1].value == "MODE=test"
