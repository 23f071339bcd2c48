from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.orchestrator.forges import TokenSource, parse_reference
from swe_agent.tools.errors import IssueError


@pytest.mark.parametrize(
    ("text", "api", "path", "number"),
    [
        ("octo/demo#12", "https://api.github.com", "octo/demo", 12),
        ("https://github.com/octo/demo/issues/12", "https://api.github.com", "octo/demo", 12),
        ("github.com/octo/de.mo/issues/12/", "https://api.github.com", "octo/de.mo", 12),
        ("https://www.github.com/o/d/issues/1?x=1#issuecomment-5", "https://api.github.com", "o/d", 1),
        ("https://api.github.com/repos/o/d/issues/1", "https://api.github.com", "o/d", 1),
        ("https://acme.ghe.com/o/d/issues/3", "https://api.acme.ghe.com", "o/d", 3),
        ("https://git.acme.org/o/d/issues/3", "https://git.acme.org/api/v3", "o/d", 3),
        ("http://127.0.0.1:8080/o/d/issues/3", "http://127.0.0.1:8080/api/v3", "o/d", 3),
        ("http://[::1]:80/o/d/issues/3", "http://[::1]:80/api/v3", "o/d", 3),
        ("https://gitlab.com/g/s/p/-/issues/4", "https://gitlab.com/api/v4", "g/s/p", 4),
        ("https://git.acme.org/g/p/-/work_items/4#note_1", "https://git.acme.org/api/v4", "g/p", 4),
    ],
)
def test_forms(text: str, api: str, path: str, number: int) -> None:
    found = parse_reference(text, {})
    assert (found.api, found.path, found.number) == (api, path, number)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://github.com/o/d/pull/12", "pull request"),
        ("https://github.com/o/d/pull/12/files", "pull request"),
        ("https://gitlab.com/g/p/-/merge_requests/1", "merge request"),
        ("https://github.com/o/d/discussions/12", "not an issue"),
        ("https://github.com/o/d", "not the URL of an issue"),
        ("https://github.com/o/d/issues/new", "no issue number"),
        ("o/d", "OWNER/REPO#N"),
        ("", "OWNER/REPO#N"),
        ("ftp://github.com/o/d/issues/1", "OWNER/REPO#N"),
        ("http://[::1/o/d/issues/1", "not a URL"),
        ("https://github.com:x/o/d/issues/1", "not a URL"),
    ],
)
def test_what_is_no_issue(text: str, words: str) -> None:
    with pytest.raises(IssueError, match=words):
        parse_reference(text, {})


@given(st.text(max_size=80))
def test_any_text_is_an_issue_or_an_issue_error(text: str) -> None:
    with contextlib.suppress(IssueError):
        assert parse_reference(text, {}).number >= 0


def test_the_api_can_be_named() -> None:
    env = {"GITHUB_API_URL": "http://127.0.0.1:1/api/v3/"}
    assert parse_reference("o/d#1", env).api == "http://127.0.0.1:1/api/v3"
    assert (
        parse_reference("o/d#1", {"GITHUB_API_URL": "https://api.github.com"}).api == "https://api.github.com"
    )
    # An Actions runner of github.com names its own API; that says nothing about another host.
    env = {"GITHUB_API_URL": "https://api.github.com"}
    assert parse_reference("https://git.acme.org/o/d/issues/3", env).api == "https://git.acme.org/api/v3"
    assert parse_reference("o/d#1", {"GH_HOST": "git.acme.org"}).api == "https://git.acme.org/api/v3"


def test_each_host_gets_its_own_token_or_none() -> None:
    env = {"GITHUB_TOKEN": "hub", "GH_ENTERPRISE_TOKEN": "ent", "GITLAB_TOKEN": "lab"}

    def token(origin: str, kind: str = "github", **more: str) -> str | None:
        return TokenSource({**env, **more}, ask_programs=False).token(origin, kind)

    assert token("https://api.github.com") == "hub"
    assert token("https://github.com") == "hub"
    assert token("https://api.acme.ghe.com") == "hub"
    assert token("https://github.com", GH_TOKEN="first") == "first"
    assert token("https://git.acme.org") == "ent"
    assert token("https://evilgithub.com") == "ent"
    assert token("https://evil.org", GH_HOST="git.acme.org") is None
    assert token("http://git.acme.org") is None, "never over plain http"
    assert token("http://127.0.0.1:80") == "ent"
    assert token("http://127.0.0.1.evil.org") is None
    assert token("https://gitlab.com", "gitlab") == "lab"
    assert token("https://gitlab.acme.org", "gitlab") is None
    assert token("https://gitlab.acme.org", "gitlab", GITLAB_HOST="https://gitlab.acme.org") == "lab"
