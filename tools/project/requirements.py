"""Requirements: what to install so that the tests of a repository can run, read from its own files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from .implied import implied_by_configuration, implied_by_imports
from .manifest import Manifest, dig, strings
from .nested import nested_projects
from .poetry import poetry_requirements
from .spec import Inference

TEST_NAMES = ("test", "tests", "testing", "unittest", "unit-test", "unit-tests", "testutils")
DEV_NAMES = ("dev", "develop", "development", "devel", "ci", "all-dev")


@dataclass(slots=True)
class Requirements:
    """What to install. `files` are relative paths of requirements files, `extras` extras of the
    repository itself, `names` requirement strings."""

    install_repository: bool = False
    extras: list[str] = field(default_factory=list[str])
    names: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    nested: list[str] = field(default_factory=list[str])
    """Projects below the root to be installed as well: `folder` or `folder[extra]`."""
    inferences: list[Inference] = field(default_factory=list[Inference])

    @property
    def tests_declared(self) -> bool:
        return bool(self.extras or self.files or self.names)

    def add(self, names: Iterable[str], why: str) -> None:
        new = [name for name in dict.fromkeys(n.strip() for n in names) if name and name not in self.names]
        if new:
            self.names += new
            self.inferences.append(Inference("dependencies", ", ".join(new), why, "--setup"))


def find_requirements(manifest: Manifest, *, runner: str) -> Requirements:
    """Requirements of the repository and of its tests; the nearest declared source wins: test extras and
    groups, then requirements files, then tox, nox, and what the tests import."""
    found = Requirements(install_repository=manifest.installable)
    if found.install_repository:
        found.inferences.append(
            Inference("install", "the repository, editable", _packaging(manifest), "--setup")
        )
    _extras(manifest, found)
    _groups(manifest, found)
    _requirement_files(manifest, found)
    _nested(manifest, found)
    if not found.tests_declared or found.files == ["requirements.txt"]:
        _tox(manifest, found)
        _nox(manifest, found)
    tests_require = manifest.setup_arguments.get("tests_require")
    found.add(
        [
            *(strings(tests_require) or ([tests_require] if isinstance(tests_require, str) else [])),
            *manifest.cfg(manifest.setup_cfg, "options", "tests_require").splitlines(),
        ],
        "tests_require",
    )
    if runner == "pytest":
        declared = _declared_names(manifest, found)
        if "pytest" not in declared:
            found.add(["pytest"], "the tests run with pytest")
        found.add(implied_by_configuration(manifest, declared), "pytest's configuration uses it")
    if not found.tests_declared or found.names == ["pytest"]:
        found.add(
            implied_by_imports(manifest, _declared_names(manifest, found)),
            "the tests import it, nothing declares it",
        )
    return found


def _nested(manifest: Manifest, found: Requirements) -> None:
    for folder in nested_projects(manifest):
        inner = Manifest(manifest.repository / folder)
        its = Requirements(install_repository=inner.installable)
        _extras(inner, its)
        _groups(inner, its)
        _requirement_files(inner, its)
        if its.install_repository:
            extras = f"[{','.join(its.extras)}]" if its.extras else ""
            found.nested.append(f"{folder}{extras}")
            found.inferences.append(
                Inference("install", f"{folder}{extras}, editable", _packaging(inner), "--setup")
            )
        found.add(its.names, f"dependency groups of {folder}")
        if files := [f"{folder}/{path}" for path in its.files]:
            found.files += files
            found.inferences.append(
                Inference("requirements files", ", ".join(files), "found in the repository", "--setup")
            )


def _packaging(manifest: Manifest) -> str:
    for name in ("pyproject.toml", "setup.cfg", "setup.py"):
        if manifest.has(name):
            return f"{name} describes a package"
    return "packaging metadata"


def _extras(manifest: Manifest, found: Requirements) -> None:
    tables: tuple[tuple[Any, str], ...] = (
        (manifest.toml("project", "optional-dependencies"), "pyproject.toml optional-dependencies"),
        (manifest.toml("tool", "poetry", "extras"), "pyproject.toml poetry extras"),
        (manifest.toml("tool", "flit", "metadata", "requires-extra"), "pyproject.toml flit requires-extra"),
        (
            {k: [] for k, _ in manifest.setup_cfg.items("options.extras_require")}
            if manifest.setup_cfg.has_section("options.extras_require")
            else None,
            "setup.cfg extras_require",
        ),
        (manifest.setup_arguments.get("extras_require"), "setup.py extras_require"),
    )
    for table, why in tables:
        if isinstance(table, Mapping) and (picked := _pick(table)):
            found.extras += [name for name in picked if name not in found.extras]
            found.inferences.append(Inference("extras", ", ".join(picked), why, "--setup"))


def _pick(names: Iterable[str]) -> list[str]:
    """The test-like names, else the development-like ones."""
    spelled = {name.lower().replace("_", "-"): name for name in names if isinstance(name, str)}
    for family in (TEST_NAMES, DEV_NAMES):
        if picked := [spelled[name] for name in family if name in spelled]:
            return picked
    return []


def _groups(manifest: Manifest, found: Requirements) -> None:
    groups = manifest.toml("dependency-groups")
    if isinstance(groups, Mapping):
        for name in _pick(groups):
            found.add(_expand_group(groups, name, set()), f"pyproject.toml dependency group {name}")
    poetry = manifest.toml("tool", "poetry", "group")
    if isinstance(poetry, Mapping):
        for name in _pick(poetry):
            found.add(
                poetry_requirements(dig(poetry, name, "dependencies")), f"pyproject.toml poetry group {name}"
            )
    found.add(
        poetry_requirements(manifest.toml("tool", "poetry", "dev-dependencies")),
        "pyproject.toml poetry dev-dependencies",
    )
    pdm = manifest.toml("tool", "pdm", "dev-dependencies")
    if isinstance(pdm, Mapping):
        for name in _pick(pdm):
            found.add(strings(pdm[name]), f"pyproject.toml pdm group {name}")
    found.add(strings(manifest.toml("tool", "uv", "dev-dependencies")), "pyproject.toml uv dev-dependencies")
    for env in ("default", "test", "tests", "hatch-test"):
        for key in ("dependencies", "extra-dependencies"):
            found.add(
                strings(manifest.toml("tool", "hatch", "envs", env, key)), f"pyproject.toml hatch env {env}"
            )


def _expand_group(groups: Mapping[str, object], name: str, seen: set[str]) -> list[str]:
    """Requirements of a dependency group with `include-group` followed (PEP 735)."""
    key = name.lower().replace("_", "-")
    spelled = {other.lower().replace("_", "-").replace(".", "-"): other for other in groups}
    if key in seen or key not in spelled:
        return []
    seen.add(key)
    names: list[str] = []
    entries = groups[spelled[key]]
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str):
            names.append(entry)
        elif isinstance(entry, Mapping) and isinstance(entry.get("include-group"), str):
            names += _expand_group(groups, entry["include-group"], seen)
    return names


def _requirement_files(manifest: Manifest, found: Requirements) -> None:
    def existing(names: Iterable[str]) -> list[str]:
        bases = [f"requirements{sep}{{}}" for sep in ("-", "_", ".")] + ["{}-requirements", "{}_requirements"]
        paths = [f"{base.format(name)}.txt" for name in names for base in bases]
        paths += [f"{folder}/{name}.txt" for folder in ("requirements", "reqs", "requires") for name in names]
        paths += [f"{folder}/requirements.txt" for folder in names]
        paths += [
            f"{folder}/requirements{s}{name}.txt"
            for folder in ("requirements",)
            for s in "-_"
            for name in names
        ]
        return [path for path in dict.fromkeys(paths) if manifest.has(path)]

    has_tests = bool(found.extras or found.names)
    files = existing([*TEST_NAMES, "test-min", "test_min", "pytest"])
    if not files and not has_tests:
        files = existing(DEV_NAMES)
    # An installed package brings its own dependencies; its requirements.txt is usually a pinned deployment, unless
    # it is the one file that brings the tests' tools.
    if not found.install_repository or (not (files or has_tests) and _brings_tests(manifest)):
        bases = ("requirements.txt", "requirements/base.txt", "requirements/requirements.txt")
        files = [path for path in bases if manifest.has(path)] + files
    if files:
        found.files += [path for path in files if path not in found.files]
        found.inferences.append(
            Inference("requirements files", ", ".join(files), "found in the repository", "--setup")
        )


def _brings_tests(manifest: Manifest) -> bool:
    lines = file_lines(manifest, "requirements.txt", set())
    return any(re.match(r"\s*(pytest|nose2?|unittest2|tox|nox|coverage)\b", line, re.I) for line in lines)


def _tox(manifest: Manifest, found: Requirements) -> None:
    tox = manifest.tox
    sections = ["testenv"] + [
        s for s in ("testenv:test", "testenv:tests", "testenv:py3") if tox.has_section(s)
    ]
    names: list[str] = []
    for section in sections:
        for line in manifest.cfg(tox, section, "deps").splitlines():
            names += _tox_line(manifest, line, found)
        extras = [e.strip() for e in re.split(r"[\n,]", manifest.cfg(tox, section, "extras")) if e.strip()]
        found.extras += [e for e in extras if re.fullmatch(r"[\w.-]+", e) and e not in found.extras]
    modern = manifest.toml("tool", "tox", "env_run_base")
    if isinstance(modern, Mapping):
        names += strings(modern.get("deps"))
        found.extras += [e for e in strings(modern.get("extras")) if e not in found.extras]
    found.add(names, "tox deps")


def _tox_line(manifest: Manifest, line: str, found: Requirements) -> list[str]:
    text = line.split(" #")[0].strip().replace("{toxinidir}/", "").replace("{tox_root}/", "")
    if match := re.match(r"^([A-Za-z0-9_,{}!-]+)\s*:\s*(.+)$", text):
        # A factor condition (`py36: mock`) holds for some environments only; `!x:` and test-like ones count.
        if not (match[1].startswith("!") or set(re.split(r"[-,]", match[1])) & {*TEST_NAMES, "py3", "py"}):
            return []
        text = match[2].strip()
    if match := re.match(r"^(?:-r|--requirement)[\s=]*(\S+)$", text):
        if manifest.has(match[1]) and match[1] not in found.files:
            found.files.append(match[1])
            found.inferences.append(Inference("requirements files", match[1], "tox deps", "--setup"))
        return []
    return [text] if text and text[0] != "-" and "{" not in text and is_requirement(text) else []


def _nox(manifest: Manifest, found: Requirements) -> None:
    try:
        tree = ast.parse(manifest.text("noxfile.py"))
    except (SyntaxError, ValueError, RecursionError):
        return
    names: list[str] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.FunctionDef) and re.match(r"(unit_?)?tests?\b|pytest", node.name)):
            continue
        for call in ast.walk(node):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "install"
            ):
                words = [
                    a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                ]
                for flag, word in zip(["", *words], words, strict=False):
                    if flag in ("-r", "--requirement") and manifest.has(word):
                        found.files += [word] if word not in found.files else []
                    elif word[:1] not in "-." and flag[:1] != "-" and is_requirement(word):
                        names.append(word)
                    elif match := re.fullmatch(r"\.\[([\w,.\s-]+)\]", word):
                        found.extras += [
                            e.strip() for e in match[1].split(",") if e.strip() not in found.extras
                        ]
    found.add(names, "noxfile.py installs it")


def _declared_names(manifest: Manifest, found: Requirements) -> set[str]:
    """Canonical names of everything the chosen sources install."""
    lines = list(found.names)
    for path in found.files:
        lines += file_lines(manifest, path, set())
    tables = (
        manifest.toml("project", "optional-dependencies"),
        manifest.toml("tool", "flit", "metadata", "requires-extra"),
        manifest.setup_arguments.get("extras_require"),
    )
    for extra in found.extras:
        for table in tables:
            value = dig(table, extra)
            lines += strings(value) or ([value] if isinstance(value, str) else [])
        lines += manifest.cfg(manifest.setup_cfg, "options.extras_require", extra).splitlines()
    if found.install_repository:
        lines += strings(manifest.toml("project", "dependencies"))
        lines += manifest.cfg(manifest.setup_cfg, "options", "install_requires").splitlines()
        lines += strings(manifest.setup_arguments.get("install_requires"))
        lines += list(manifest.toml("tool", "poetry", "dependencies") or {})
    matches = (re.match(r"\s*([A-Za-z0-9][\w.-]*)", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", m[1]).lower() for m in matches if m}


def file_lines(manifest: Manifest, path: str, seen: set[str]) -> list[str]:
    """Lines of a requirements file, `-r` followed, each file once."""
    if path in seen:
        return []
    seen.add(path)
    lines: list[str] = []
    for line in manifest.text(path).splitlines():
        if match := re.match(r"\s*(?:-r|--requirement)[\s=]*(\S+)", line):
            lines += file_lines(manifest, str(PurePosixPath(path).parent / match[1]), seen)
        else:
            lines.append(line)
    return lines


def is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True
