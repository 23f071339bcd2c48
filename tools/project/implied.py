"""Packages that nothing declares but the tests plainly need: pytest plugins that its configuration
names, and well-known test libraries that the tests import.

Only names in the tables below are ever installed this way: installing whatever an unknown repository
imports would hand the choice of code to whoever registered that name on the index.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Set

from .manifest import Manifest

_OPTIONS = {
    r"--cov\b|--cov-|--no-cov": "pytest-cov",
    r"(?<![\w-])-n[\s=]*(auto|\d)|--numprocesses|--dist\b": "pytest-xdist",
    r"--timeout\b|^timeout(_method|_func_only)?\b": "pytest-timeout",
    r"^asyncio_mode\b|--asyncio-mode": "pytest-asyncio",
    r"^DJANGO_SETTINGS_MODULE\b|^django_find_project\b|--ds=|--reuse-db": "pytest-django",
    r"--benchmark": "pytest-benchmark",
    r"--random-order": "pytest-random-order",
    r"--reruns\b": "pytest-rerunfailures",
    r"--mpl\b": "pytest-mpl",
    r"^env\b|^env_files\b": "pytest-env",
    r"--doctest-plus|^doctest_plus": "pytest-doctestplus",
    r"--html\b": "pytest-html",
    r"--black\b": "pytest-black",
    r"--flake8\b": "pytest-flake8",
    r"--mypy\b": "pytest-mypy",
    r"--isort\b": "pytest-isort",
    r"--forked\b": "pytest-forked",
    r"--record-mode|--vcr-record": "pytest-recording",
    r"--snapshot-update|--snapshot-warn": "syrupy",
    r"--disable-socket|--allow-hosts": "pytest-socket",
    r"--strict-socket|-p pytester": "pytest",
    r"-p sugar|--force-sugar": "pytest-sugar",
    r"--randomly-seed": "pytest-randomly",
    r"--subprocess": "pytest-subprocess",
}
_FIXTURES = {"mocker": "pytest-mock", "benchmark": "pytest-benchmark", "requests_mock": "requests-mock",
             "httpserver": "pytest-httpserver", "freezer": "pytest-freezer", "httpbin": "pytest-httpbin",
             "event_loop": "pytest-asyncio", "datadir": "pytest-datadir", "snapshot": "syrupy"}  # fmt: skip
_IMPORTS = {
    "attr": "attrs", "attrs": "attrs", "aiohttp": "aiohttp", "bs4": "beautifulsoup4", "click": "click",
    "dateutil": "python-dateutil", "ddt": "ddt", "django": "Django", "factory": "factory-boy",
    "faker": "Faker", "fastapi": "fastapi", "flask": "Flask", "freezegun": "freezegun",
    "httpx": "httpx", "hypothesis": "hypothesis", "jinja2": "Jinja2", "jsonschema": "jsonschema",
    "lxml": "lxml", "matplotlib": "matplotlib", "mock": "mock", "mpmath": "mpmath",
    "networkx": "networkx", "nose": "nose", "numpy": "numpy", "pandas": "pandas",
    "parameterized": "parameterized", "PIL": "Pillow", "pydantic": "pydantic", "pyfakefs": "pyfakefs",
    "pytest_asyncio": "pytest-asyncio", "pytest_mock": "pytest-mock", "pytz": "pytz", "requests": "requests",
    "requests_mock": "requests-mock", "responses": "responses", "scipy": "scipy", "six": "six",
    "sklearn": "scikit-learn", "sqlalchemy": "SQLAlchemy", "starlette": "starlette", "testfixtures": "testfixtures",
    "trustme": "trustme", "twisted": "Twisted", "typing_extensions": "typing-extensions", "vcr": "vcrpy",
    "werkzeug": "Werkzeug", "yaml": "PyYAML",
}  # fmt: skip
_MAX_FILES = 400


def implied_by_configuration(manifest: Manifest, declared: Set[str]) -> list[str]:
    """pytest plugins whose options or settings the configuration uses and nothing declares."""
    sections = (
        _section(manifest, manifest.pytest_ini, "pytest"),
        _section(manifest, manifest.tox, "pytest"),
        _section(manifest, manifest.setup_cfg, "tool:pytest"),
    )
    lines = [line for section in sections for line in section]
    table = manifest.toml("tool", "pytest", "ini_options") or manifest.toml("tool", "pytest")
    if isinstance(table, dict):
        lines += [
            f"{k} = {' '.join(v) if isinstance(v, list) and k == 'addopts' else v}" for k, v in table.items()
        ]
    names = [
        plugin
        for pattern, plugin in _OPTIONS.items()
        if plugin != "pytest" and any(re.search(pattern, line) for line in lines)
    ]
    for line in lines:
        if line.startswith("required_plugins"):
            names += [w for w in re.findall(r"pytest-[\w-]+", line) if w in set(_OPTIONS.values())]
    return [name for name in dict.fromkeys(names) if name not in declared]


def implied_by_imports(manifest: Manifest, declared: Set[str]) -> list[str]:
    """Well-known libraries that tests import or whose fixtures they use and nothing declares."""
    own = {path.split("/")[0].removesuffix(".py") for path in manifest.python_files}
    own |= {path.rsplit("/", 1)[-1].removesuffix(".py") for path in manifest.python_files}
    names: list[str] = []
    others = () if manifest.installable else manifest.python_files
    for path in dict.fromkeys([*manifest.test_files, *_conftests(manifest), *others][:_MAX_FILES]):
        try:
            tree = ast.parse(manifest.text(path))
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
                names += [_FIXTURES[a.arg] for a in node.args.args if a.arg in _FIXTURES]
                continue
            else:
                continue
            roots = {module.split(".")[0] for module in modules} - own
            names += [_IMPORTS[root] for root in sorted(roots) if root in _IMPORTS]
    return [name for name in dict.fromkeys(names) if name.lower() not in declared]


def _conftests(manifest: Manifest) -> Iterable[str]:
    return (path for path in manifest.python_files if path.rsplit("/", 1)[-1] == "conftest.py")


def _section(manifest: Manifest, parser: object, section: str) -> list[str]:
    from configparser import RawConfigParser

    assert isinstance(parser, RawConfigParser)
    if not parser.has_section(section):
        return []
    return [f"{key} = {value or ''}".replace("\n", " ") for key, value in parser.items(section)]
