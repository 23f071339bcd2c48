"""What shapes a native environment: pins that hold in every step, submodules from the mirrors, conda's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from swe_agent.orchestrator.benchmarks.rows import instance_of
from swe_agent.orchestrator.grading.constraints import constraints_of, culprit_of, readable, with_wheels
from swe_agent.orchestrator.grading.installer import LOG, leaving_only_the_log
from swe_agent.orchestrator.grading.mirror import checkout
from swe_agent.orchestrator.grading.missing import missing_requirement
from swe_agent.orchestrator.grading.requirements import only_conda_at
from swe_agent.orchestrator.grading.spec import EnvironmentSpec
from swe_agent.orchestrator.grading.submodules import fill_submodules
from swe_agent.tools.git import git


def run(directory: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"]
    return subprocess.run(
        [*command, "-C", str(directory), *args], check=True, capture_output=True, text=True
    ).stdout


def test_pins_hold_in_every_step() -> None:
    spec = EnvironmentSpec(
        "3.10", "pytest", "pytest", packages=("numpy", "pip[x]==1.0"), pip=("numpy==1.23.0", "six>=1")
    )
    assert constraints_of(spec) == ["pip==1.0", "numpy==1.23.0", "cython<3"]
    old = EnvironmentSpec("3.9", "pytest", "pytest", packages=("numpy==1.19.2", "cython==3.0.10"))
    assert constraints_of(old) == ["numpy==1.19.3", "cython==3.0.10"]
    assert with_wheels(["numpy==1.19.2"], "3.6") == (["numpy==1.19.2"], [])
    assert "no wheel" in with_wheels(["numpy==1.19.2"], "3.9")[1][0]


def test_versions_of_the_time_before_pep_440_do_not_take_a_list_along() -> None:
    given = ["pytz > dev", "numpy==1.2 ; python_version < '3'", "mock >= x ; python_version < '3'", "a @ b"]
    wanted = ["pytz", "numpy==1.2 ; python_version < '3'", "mock; python_version < '3'", "a @ b"]
    lines, notes = readable(given)
    assert lines == wanted
    assert [note.split()[0] for note in notes] == ["pytz", "mock"]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("cause: Because gtk3 was not found in the package registry and you require gtk3, we", "gtk3"),
        ("error: Failed to download and build `PyGObject==3.46.0`\n  cause: x", "pygobject>=3"),
        ("ERROR: No matching distribution found for gtk3\n", "gtk3"),
        ("error: Failed to build `pycairo==1.26.1`", None),  # what another needs: each is tried alone
        ("error: No solution found", None),
    ],
)
def test_one_that_cannot_be_had_leaves_the_others_together(said: str, named: str | None) -> None:
    assert culprit_of(said, ["numpy==1.2", "gtk3", "pygobject>=3"]) == named
    assert culprit_of(said, ["gtk3"]) is None


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("No module named 'jinja2'", "jinja2>=2.7"),
        ("No module named 'extension_helpers'", "extension-helpers"),
        ("No module named 'numpy.distutils'", "numpy>=1.13"),
        ("x.pyx: Cython must be installed to build from a checkout. 'x.c'", "cython>=0.21"),
        ("No module named 'jinja2'\nfailed: please install cython", "cython>=0.21"),
        ("x\nCython.Compiler.Errors.CompileError: sklearn/cluster/_hierarchical_fast.pyx", "cython<3"),
        ("No module named 'squatted'", None),  # no build file requires it
        ("No module named 'addressed'", None),  # the index alone is asked
    ],
)
def test_a_package_that_a_running_build_lacks(tmp_path: Path, said: str, wanted: str | None) -> None:
    (tmp_path / "setup.py").write_text(
        "import squatted\nextra = ['jinja2>=2.7', 'cython>=0.21', 'addressed @ https://e.example/x']\n"
    )
    (tmp_path / "setup.cfg").write_text(
        "[options]\nsetup_requires =\n    numpy>=1.13\n    extension-helpers\n"
    )
    log = f"  File 'setup.py'\nModuleNotFoundError: {said}\nerror: it failed"
    assert missing_requirement(log, tmp_path) == wanted
    assert missing_requirement("error: it failed", tmp_path) is None


def test_a_version_from_tags_takes_the_past_down_to_the_nearest(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    run(source, "init", "-q", "-b", "main")
    (source / "setup.py").write_text("use_scm_version = True  # setuptools_scm\n")
    run(source, "add", "-A")
    for number in range(8):
        run(source, "commit", "-qm", f"c{number}", "--allow-empty")
        if number in (0, 3, 7):
            run(source, "tag", "-am", "x", f"v{number}.0")
    for base, described, depth in (("v3.0~1", "v0.0-2", 3), ("v7.0~2", "v3.0-2", 3), ("v7.0", "v7.0-0", 1)):
        place = tmp_path / base
        checkout(source, run(source, "rev-parse", f"{base}^{{commit}}").strip(), place)
        assert git(place, "describe", "--tags", "--long").rsplit("-", 1)[0] == described
        assert git(place, "rev-list", "--count", "HEAD").strip() == str(depth)
        assert len(git(place, "tag").split()) == 1
    (source / "setup.py").write_text("version = '1'\n")
    run(source, "commit", "-qam", "by hand")
    checkout(source, run(source, "rev-parse", "HEAD").strip(), tmp_path / "plain")
    assert git(tmp_path / "plain", "rev-list", "--count", "HEAD").strip() == "1"


def test_a_build_that_fails_leaves_its_log(tmp_path: Path) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "link").symlink_to("/nowhere")
    (tmp_path / LOG).write_text("why")
    with pytest.raises(KeyboardInterrupt), leaving_only_the_log(tmp_path):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == [LOG]


@pytest.mark.parametrize(
    "url", ["https://forge.example/acme/helpers.git", "git@forge.example:acme/helpers.git", "../helpers"]
)
def test_submodules_come_from_the_mirrors(tmp_path: Path, url: str) -> None:
    helpers, project, mirrors = tmp_path / "m/acme+helpers", tmp_path / "calc", tmp_path / "m"
    for home in (helpers, project):
        home.mkdir(parents=True)
        run(home, "init", "-q", "-b", "main")
    (helpers / "help.py").write_text("x = 1\n")
    run(helpers, "add", "-A")
    run(helpers, "commit", "-qm", "one")
    run(project, "submodule", "--quiet", "add", str(helpers), "sub/helpers")
    run(project, "config", "-f", ".gitmodules", "submodule.sub/helpers.url", url)
    (project / "environment.yml").write_text(
        "dependencies:\n  - python=3.9\n  - hdf5\n  - numpy\n  - pip:\n    - six\n"
    )
    run(project, "add", "-A")
    run(project, "commit", "-qm", "base")
    base = run(project, "rev-parse", "HEAD").strip()
    run(tmp_path, "clone", "-q", "--bare", str(project), str(mirrors / "acme+calc.git"))
    project = mirrors / "acme+calc.git"
    (helpers / "help.py").write_text("x = 2\n")
    run(helpers, "commit", "-qam", "the future")
    row = {"repo": "acme/calc", "instance_id": "acme__calc-1", "base_commit": base, "problem_statement": "x"}
    instance, place = instance_of(row), tmp_path / "testbed"
    checkout(project, base, place)
    assert fill_submodules(project, instance, place, mirrors) == []
    assert (place / "sub/helpers/help.py").read_text() == "x = 1\n"
    assert git(place, "submodule", "status").startswith(" "), (
        "it counts as initialised: no build step fetches it"
    )
    assert git(place, "status", "--porcelain") == ""
    assert "the future" not in git(place / "sub/helpers", "log", "--all", "--format=%s")
    assert only_conda_at(project, base, ("environment.yml",)) == ["hdf5"]
    helpers.rename(tmp_path / "elsewhere")
    other = tmp_path / "again"
    checkout(project, base, other)
    (note,) = fill_submodules(project, instance, other, mirrors)
    assert "no mirror holds acme/helpers" in note
