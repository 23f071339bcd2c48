"""Set-up against a repository that wants out: nothing of it runs on the host, or is followed there."""

from __future__ import annotations

import contextlib
import json
import socket
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from lacking import no_walls
from project.test_prepare import BACKEND, FILES, repository

from swe_agent.tools.errors import ProjectError
from swe_agent.tools.project.prepare import prepare_project
from swe_agent.tools.project.spec import Project

pytestmark = pytest.mark.skipif(bool(no_walls()), reason=no_walls())


def prepare(tmp_path: Path, prelude: str, more: Mapping[str, str] | None = None) -> Project:
    """Set a repository up whose build back-end runs `prelude` first; VENV is the environment that is being built
    (VIRTUAL_ENV would be the installer's own, for the build alone)."""
    place = str(tmp_path / "cache/environments/*/venv")
    found = f"import glob\nVENV = glob.glob({place!r})[0]\n"
    repository(tmp_path / "repo", {**FILES, "backend.py": found + prelude + "\n" + BACKEND, **(more or {})})
    return prepare_project(tmp_path / "repo", cache=tmp_path / "cache", sandbox_kind="namespace")


def test_an_interpreter_that_the_build_replaced_does_not_run_on_the_host(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    prelude = f"""
import os, sys, glob
python = os.path.join(VENV, "bin", "python")
if os.path.islink(python):
    real = os.path.realpath(python)
    os.remove(python)
    with open(python, "w") as file:
        file.write("#!/bin/sh\\ntouch {mark}; exec {{}} \\"$@\\"\\n".format(real))
    os.chmod(python, 0o755)
for site in glob.glob(os.path.join(VENV, "lib", "python*", "site-packages")):
    with open(os.path.join(site, "evil.pth"), "w") as file:
        file.write("import os; os.system('touch {mark}')\\n")
"""
    with contextlib.suppress(ProjectError):  # refusing is as good
        project = prepare(tmp_path, prelude)
        assert list(project.read_only[0].glob("venv/lib/python*/site-packages/evil.pth")), "it was tried"
    assert not mark.exists()


def test_links_of_the_build_lead_nowhere_on_the_host(tmp_path: Path) -> None:
    secret, victim = tmp_path / "secret", tmp_path / "victim"
    secret.write_text("a private file of the host\n")
    victim.write_text("as it was\n")
    prelude = f"""
import os, glob
venv = VENV
if not os.path.lexists("src/demo/stolen.txt"):
    os.symlink({str(secret)!r}, "src/demo/stolen.txt")
for site in glob.glob(os.path.join(venv, "lib", "python*", "site-packages")):
    if not os.path.lexists(os.path.join(site, "linked.py")):
        os.symlink({str(victim)!r}, os.path.join(site, "linked.py"))
for folder in (venv, os.path.dirname(venv)):
    for name in ("artefacts.tar", "ready.json", ".ready.json.new"):
        try:
            os.symlink({str(secret)!r}, os.path.join(folder, name))
        except OSError:
            pass
"""
    project = prepare(tmp_path, prelude)
    assert victim.read_text() == "as it was\n"
    assert list(project.read_only[0].glob("venv/lib/python*/site-packages/linked.py")), "it was tried"
    assert project.artefacts is not None
    assert not project.artefacts.is_symlink()
    with tarfile.open(project.artefacts) as archive:
        names = archive.getnames()
        assert all(
            not member.isreg() or b"private" not in archive.extractfile(member).read() for member in archive
        )
    assert "src/demo/_version.py" in names
    assert json.loads((project.read_only[0] / "ready.json").read_text())["installed"]


def test_a_build_reaches_neither_loopback_nor_abstract_sockets_nor_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_INDEX", "https://user:password@index.invalid/simple")
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    with socket.socket() as loopback, socket.socket(socket.AF_UNIX) as abstract:
        loopback.bind(("127.0.0.1", 0))
        loopback.listen()
        name = f"swe-agent-test-{loopback.getsockname()[1]}"
        abstract.bind("\0" + name)
        abstract.listen()
        prelude = f"""
import os, socket
for kind, address in ((socket.AF_INET, ("127.0.0.1", {loopback.getsockname()[1]})), (socket.AF_UNIX, "\\0{name}"),
                      (socket.AF_INET, ("1.1.1.1", 443))):
    probe = socket.socket(kind)
    probe.settimeout(3)
    try:
        probe.connect(address)
    except OSError:
        continue
    raise SystemExit("reached " + str(address))
assert not any("password" in value or "s3cret" in value for value in os.environ.values())
"""
        assert prepare(tmp_path, prelude).artefacts is not None


def test_what_a_build_may_import_is_part_of_its_environments_key(tmp_path: Path) -> None:
    helper = {"helper.py": "KIND = 1\n"}
    first = prepare(tmp_path / "a", "import helper", helper)
    repository(
        tmp_path / "b/repo", {**FILES, **helper, "backend.py": (tmp_path / "a/repo/backend.py").read_text()}
    )
    same = prepare_project(tmp_path / "b/repo", cache=tmp_path / "a/cache", sandbox_kind="namespace")
    assert same.python == first.python, "the same tree"
    repository(
        tmp_path / "c/repo", {**FILES, "backend.py": "import helper\n" + BACKEND, "helper.py": "KIND = 2\n"}
    )
    other = prepare_project(tmp_path / "c/repo", cache=tmp_path / "a/cache", sandbox_kind="namespace")
    assert other.python != first.python
    static = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "hatchling.build"\n',
        "requirements.txt": "",
        "test_a.py": "import unittest\n",
    }
    for name in ("d", "e"):
        repository(tmp_path / name / "repo", {**static, "README": name})
    found = {
        prepare_project(tmp_path / name / "repo", cache=tmp_path / "a/cache", test_cmd="sh x").python
        for name in ("d", "e")
    }
    assert len(found) == 2, "different repositories share nothing"
