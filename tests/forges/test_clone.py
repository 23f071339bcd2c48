from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest
from forges.forge_server import ForgeServer
from forges.git import git

from swe_agent.orchestrator.forges import TokenSource, clone
from swe_agent.tools.errors import ForgeError, RepositoryError
from swe_agent.tools.history import prepare_repository


def tokens(token: str | None = None) -> TokenSource:
    return TokenSource({"GH_ENTERPRISE_TOKEN": token} if token else {}, ask_programs=False)


@pytest.fixture
def demo(forge: ForgeServer) -> ForgeServer:
    forge.add_repository("octo/demo", {"a.py": "x = 1\n", "old.py": "old\n"})
    forge.commit("octo/demo", {"a.py": "x = 2\n", "b/c.py": "c\n"})
    return forge


def test_the_head_with_its_files_and_history_without_blobs(demo: ForgeServer, tmp_path: Path) -> None:
    url = f"{demo.url}/octo/demo.git"
    assert clone(url, tmp_path / "c", tokens=tokens()) == demo.head("octo/demo")
    assert (tmp_path / "c" / "a.py").read_text() == "x = 2\n"
    assert git("-C", str(tmp_path / "c"), "rev-list", "--count", "HEAD").strip() == "2"
    missing = git("-C", str(tmp_path / "c"), "rev-list", "--objects", "--missing=print", "HEAD")
    assert [line for line in missing.splitlines() if line.startswith("?")], "old contents were not left out"


def test_a_partial_clone_can_be_prepared(demo: ForgeServer, tmp_path: Path) -> None:
    git("-C", str(demo.git_dir("octo/demo")), "tag", "v1", "HEAD~1")
    head = clone(f"{demo.url}/octo/demo.git", tmp_path / "c", tokens=tokens())
    assert prepare_repository(tmp_path / "c", None, tmp_path / "w") == head
    assert git("-C", str(tmp_path / "w"), "describe", "--tags").startswith("v1-1-g")
    assert git("-C", str(tmp_path / "w"), "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["first", "short", "branch", "tag", "unreachable"])
def test_any_base(demo: ForgeServer, tmp_path: Path, name: str) -> None:
    git_dir = str(demo.git_dir("octo/demo"))
    first = git("-C", git_dir, "rev-parse", "HEAD~1").strip()
    git("-C", git_dir, "branch", "topic/x", first)
    git("-C", git_dir, "tag", "v1", first)
    tree = git("-C", git_dir, "rev-parse", "HEAD^{tree}").strip()
    loose = git("-C", git_dir, "commit-tree", "-m", "on no branch", "-p", first, tree).strip()
    base = {"first": first, "short": first[:9], "branch": "topic/x", "tag": "v1", "unreachable": loose}[name]
    found = clone(f"{demo.url}/octo/demo.git", tmp_path / "c", base=base, tokens=tokens())
    assert found == (loose if name == "unreachable" else first)
    assert prepare_repository(tmp_path / "c", found, tmp_path / "w") == found


def test_a_token_reaches_git_and_nothing_else(demo: ForgeServer, tmp_path: Path) -> None:
    demo.private["octo/demo"] = "sesame-12345"
    url = f"{demo.url}/octo/demo.git"
    with pytest.raises(ForgeError, match="no access") as caught:
        clone(url, tmp_path / "c", tokens=tokens("wrong-12345"))
    assert "wrong-12345" not in str(caught.value)
    clone(url, tmp_path / "c", tokens=tokens("sesame-12345"))
    found = subprocess.run(["grep", "-r", "sesame", str(tmp_path / "c")], capture_output=True, text=True)
    assert found.stdout == ""
    assert not any("sesame" in seen.path for seen in demo.seen)


def test_credentials_in_the_url_are_not_kept(demo: ForgeServer, tmp_path: Path) -> None:
    demo.private["octo/demo"] = "sesame-12345"
    url = f"{demo.url}/octo/demo.git".replace("http://", "http://me:sesame-12345@")
    clone(url, tmp_path / "c", tokens=tokens())
    assert "sesame" not in (tmp_path / "c" / ".git" / "config").read_text()


def test_a_redirect_to_another_host_gets_no_credentials(
    demo: ForgeServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from forges.answer import Answer
    from forges.forge_server import Handler

    with ForgeServer(tmp_path_factory.mktemp("thief")) as thief:
        thief.add_repository("octo/demo", {"a.py": ""})
        thief.private["octo/demo"] = "anything"

        class Redirecting(Handler):
            forge = demo

            def _git(self, path: str, query: str, body: bytes) -> None:
                self._send(Answer(302, None, {"Location": f"{thief.url}{self.path}"}))

        demo._http.RequestHandlerClass = Redirecting
        with pytest.raises(ForgeError):
            clone(f"{demo.url}/octo/demo.git", tmp_path / "c", tokens=tokens("sesame-12345"))
        assert thief.seen
        assert not any("Authorization" in seen.headers for seen in thief.seen)


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("{url}/octo/nothing.git", RepositoryError, "no git repository"),
        ("http://127.0.0.1:9/octo/demo.git", ForgeError, "cannot reach"),
        ("{folder}/nowhere", RepositoryError, "no git repository"),
        ("--upload-pack=touch x", RepositoryError, "not a repository"),
        ("ext::sh -c 'touch x'", ForgeError, "failed"),
    ],
)
def test_failures_are_one_line_and_quick(
    demo: ForgeServer, tmp_path: Path, address: str, error: type[Exception], words: str
) -> None:
    started = time.monotonic()
    with pytest.raises(error, match=words) as caught:
        clone(address.format(url=demo.url, folder=tmp_path), tmp_path / "c", tokens=tokens())
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 5
    assert not (tmp_path / "c").exists()


def test_a_server_that_says_nothing_is_left_in_time(tmp_path: Path) -> None:
    """Git and what it started for the transport end with the time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ForgeError, match="took more than 2 s"):
            clone(
                f"http://127.0.0.1:{silent.getsockname()[1]}/o/demo.git",
                tmp_path / "c",
                tokens=tokens(),
                timeout=2,
            )
    assert time.monotonic() - started < 15
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("base", ["nope", "0" * 40, "-x", ""])
def test_an_unknown_base(demo: ForgeServer, tmp_path: Path, base: str) -> None:
    with pytest.raises(RepositoryError):
        clone(f"{demo.url}/octo/demo.git", tmp_path / "c", base=base, tokens=tokens())
    assert not (tmp_path / "c").exists()


def test_an_empty_repository(forge: ForgeServer, tmp_path: Path) -> None:
    git("init", "-q", "--bare", str(forge.git_dir("octo/empty")))
    forge.repositories["octo/empty"] = {"full_name": "octo/empty", "default_branch": "main"}
    with pytest.raises(RepositoryError, match="no commit"):
        clone(f"{forge.url}/octo/empty.git", tmp_path / "c", tokens=tokens())
