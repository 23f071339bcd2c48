"""Native environments against a row, a repository and a patch that want out: nothing of them runs on the host.

The package index is a folder of this test's own.
"""

from __future__ import annotations

import io
import socket
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from grading.test_native import git, patch
from lacking import no_walls
from project.test_prepare import BACKEND

from swe_agent.orchestrator.benchmarks.rows import instance_of
from swe_agent.orchestrator.grading.declared import new_requirements, with_requirements
from swe_agent.orchestrator.grading.native import NativeEnvironment, prepare_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(no_walls()), reason=no_walls()),
]
TOML = (
    '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    '[project]\nname = "demo"\nversion = "1.0"\n'
)
MORE = TOML + 'dependencies = ["evil"]\n'


@dataclass
class Host:
    """What must stay as it is, and what must not be seen."""

    home: Path
    mark: Path
    secret: Path
    port: int

    @property
    def attack(self) -> str:
        """Python code that leaves marks and raises SystemExit when it sees anything of the host."""
        return f"""
import os, socket
try: open({str(self.mark)!r}, "w").close()
except OSError: pass
seen = [name for name, value in os.environ.items() if "s3cret" in value]
seen += [path for path in ({str(self.secret)!r}, "/etc/shadow", "/root/.ssh") if os.access(path, os.R_OK)]
probe = socket.socket(); probe.settimeout(3)
try: probe.connect(("127.0.0.1", {self.port})); seen.append("loopback")
except OSError: pass
if seen: raise SystemExit("seen: %s" % seen)
"""

    def native(self, name: str, files: dict[str, str], pre: str) -> NativeEnvironment:
        """The environment of a row of the repository acme/`name`."""
        source = self.home / name
        for path, text in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
        git(source, "init", "-q", "-b", "main")
        git(source, "add", "-A")
        git(source, "commit", "-qm", name)
        base = git(source, "rev-parse", "HEAD").strip()
        git(self.home, "clone", "-q", "--bare", str(source), str(self.home / f"mirrors/acme__{name}"))
        row = {
            "repo": f"acme/{name}", "instance_id": f"acme__{name}-1", "base_commit": base, "problem_statement": "x",
            "created_at": "2024-06-01T00:00:00Z",
            "install_config": {
                "python": f"{sys.version_info[0]}.{sys.version_info[1]}", "test_cmd": "pytest -rA",
                "pip_packages": ["pytest"], "pre_install": [pre],
            },
        }  # fmt: skip
        cache = self.home / "cache"
        return prepare_environment(instance_of(row), self.home / "mirrors", purpose="grader", cache=cache)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    index = tmp_path / "index"
    for name in ("pip", "setuptools", "wheel", "pytest"):
        (index / name).mkdir(parents=True)
        with zipfile.ZipFile(index / name / f"{name}-99.0-py3-none-any.whl", "w") as wheel:
            info = f"{name}-99.0.dist-info"
            wheel.writestr(f"{name}_here.py", "")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    with socket.create_server(("127.0.0.1", 0)) as loopback:
        found = Host(tmp_path, tmp_path / "executed", tmp_path / "secret", loopback.getsockname()[1])
        found.secret.write_text("a private file of the host\n")
        _evil(index / "evil", found.attack)
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.as_uri())
        monkeypatch.setenv("SWE_AGENT_CACHE", str(tmp_path / "programs"))
        monkeypatch.setenv("SECRET_TOKEN", "s3cret")
        for name in ("UV_INDEX", "UV_INDEX_URL", "UV_FIND_LINKS", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        yield found


def _evil(folder: Path, attack: str) -> None:
    """A package that exists as source alone: installing it runs its code."""
    folder.mkdir()
    backend = attack + BACKEND.replace("demo", "evil").replace('open("src/evil/_version.py", "w")', "io()")
    backend += "\nimport io as _io\ndef io(): return _io.StringIO()\n"
    backend = backend.replace('wheel.writestr("evil.pth", os.path.join(os.getcwd(), "src") + "\\n")',
                              'wheel.writestr("evil.py", "INSTALLED = True\\n")')  # fmt: skip
    files = {
        "pyproject.toml": TOML.replace("demo", "evil"),
        "backend.py": backend,
        "PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
    }
    with tarfile.open(folder / "evil-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"evil-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def repository(host: Host, prelude: str = "") -> dict[str, str]:
    return {
        "pyproject.toml": TOML,
        "backend.py": host.attack + prelude + BACKEND,
        "src/demo/__init__.py": "",
        "tests/test_demo.py": "def test_demo(): pass\n",
    }


def test_what_a_row_and_a_repository_run_stays_inside_and_works(host: Host) -> None:
    pre = f"python3 - <<'EOF' && echo 'VALUE = 2' >> src/demo/__init__.py\n{host.attack}\nEOF"
    environment = host.native("demo", repository(host), pre)
    assert not host.mark.exists()
    assert not [note for note in environment.notes if "preparation step" in note or "without walls" in note]
    assert (environment.repository / "src/demo/__init__.py").read_text() == "VALUE = 2\n"
    assert list(environment.venv.glob("lib/python*/site-packages/demo.pth"))


def test_a_dependency_that_a_patch_adds_is_built_inside(host: Host) -> None:
    environment = host.native("demo", repository(host), "true")
    added = new_requirements(
        environment.repository, patch(TOML, MORE, "pyproject.toml", host.home / "diff"), ""
    )
    assert added == ["evil"]
    more = with_requirements(environment, added)
    assert list(more.venv.glob("lib/python*/site-packages/evil.py")), more.notes
    assert not host.mark.exists()


def test_what_only_the_running_build_asks_for(host: Host) -> None:
    (host.home / "index/helper").mkdir()
    with zipfile.ZipFile(host.home / "index/helper/helper-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("helper.py", "")
        wheel.writestr("helper-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: helper\nVersion: 1.0\n")
        wheel.writestr(
            "helper-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("helper-1.0.dist-info/RECORD", "")
    files = repository(host, prelude="import helper\n") | {
        "setup.cfg": "[options]\nsetup_requires =\n    helper>=1\n"
    }
    environment = host.native("demo", files, "true")
    assert "helper>=1 was added: the running build needs it" in environment.notes
    assert list(environment.venv.glob("lib/python*/site-packages/demo.pth"))


def test_no_project_reaches_the_packages_of_another(host: Host) -> None:
    place = str(host.home / "cache/native/**/site-packages")
    prelude = f"""
import glob
for site in glob.glob({place!r}, recursive=True):
    for target in (site + "/poison.pth", site + "/pytest_here.py"):
        try: open(target, "a").write("import os")
        except OSError: pass
"""
    first = host.native("demo", repository(host, prelude), "true")
    assert list(first.venv.glob("lib/python*/site-packages/poison.pth")), "the attack works on its own"
    second = host.native("other", repository(host), "true")
    layers = host.home / "cache/native/layers"
    assert len(list(layers.glob("*/layer.json"))) == 1, "both begin with the same packages"
    assert second.directory != first.directory
    for folder in (layers, second.directory):
        assert not list(folder.rglob("poison.pth"))
        assert all(path.read_text() == "" for path in folder.rglob("pytest_here.py"))
