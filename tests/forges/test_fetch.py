from __future__ import annotations

import socket
import time

import pytest
from forges.answer import Answer
from forges.forge_server import ForgeServer

from swe_agent.orchestrator.forges import TokenSource, fetch_issue
from swe_agent.tools.errors import ForgeError, IssueError

PATH = "/repos/octo/demo/issues/7"


def anonymous(**env: str) -> TokenSource:
    return TokenSource(env, ask_programs=False)


@pytest.fixture
def demo(forge: ForgeServer) -> ForgeServer:
    forge.add_repository("octo/demo", {"a.py": "x = 1\n"})
    return forge


def fetch(forge: ForgeServer, number: int = 7, **options: object):
    options.setdefault("tokens", anonymous())
    return fetch_issue(forge.issue_url("octo/demo", number), env={}, **options)  # type: ignore[arg-type]


def test_everything_of_an_issue(demo: ForgeServer) -> None:
    body = "It breaks\r\n![shot](https://example.org/a.png) <img width=3 src='https://example.org/b.png'>"
    demo.add_issue("octo/demo", 7, title="Broken", body=body, comments=[f"comment {n}" for n in range(250)])
    issue = fetch(demo)
    assert (issue.id, issue.title, issue.labels) == ("octo/demo#7", "Broken", ("bug",))
    assert issue.body.startswith("It breaks\n!")
    assert [comment.body for comment in issue.comments] == [f"comment {n}" for n in range(250)]
    assert issue.comments[3].author == "user3"
    assert issue.images == ("https://example.org/a.png", "https://example.org/b.png")
    assert issue.repository == f"{demo.url}/octo/demo.git"
    assert (issue.state, issue.source, issue.base_commit) == ("open", "github", None)


def test_empty_body_and_deleted_user(demo: ForgeServer) -> None:
    demo.add_issue("octo/demo", 7, body=None, comments=["x"])
    demo.comments["octo/demo", 7][0]["user"] = None
    issue = fetch(demo)
    assert issue.body == ""
    assert issue.comments[0].author == "ghost"


def test_a_pull_request_is_named_as_such(demo: ForgeServer) -> None:
    demo.add_issue("octo/demo", 7, pull_request={"url": "x"})
    with pytest.raises(IssueError, match="pull request"):
        fetch(demo)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Answer(404, {"message": "Not Found"}), IssueError, "404"),
        (Answer(410, {"message": "This issue was deleted"}), IssueError, "deleted"),
        (Answer(401, {"message": "Bad credentials"}), ForgeError, "Bad credentials"),
        (Answer(403, {"message": "Must have admin rights"}), ForgeError, "admin rights"),
        (Answer(200, {"hello": 1}), ForgeError, "GitHub"),
        (Answer(200, [1]), ForgeError, "GitHub"),
        (Answer(301, {"message": "Moved"}), IssueError, "moved"),
    ],
)
def test_refusals_are_one_line(demo: ForgeServer, answer: Answer, error: type[Exception], words: str) -> None:
    demo.add_issue("octo/demo", 7)
    demo.answer(PATH, answer)
    started = time.monotonic()
    with pytest.raises(error, match=words) as caught:
        fetch(demo)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 5


def test_a_moved_issue_is_followed_to_its_new_repository(demo: ForgeServer) -> None:
    demo.add_repository("new/place", {"b.py": "y = 2\n"})
    demo.add_issue("new/place", 9, title="Moved here", comments=["still"])
    place = f"{demo.url}/api/v3/repos/new/place/issues/9"
    demo.answer(PATH, Answer(301, {"message": "Moved Permanently", "url": place}, {"Location": place}))
    issue = fetch(demo)
    assert (issue.id, issue.comments[0].body) == ("new/place#9", "still")
    assert issue.repository == f"{demo.url}/new/place.git"


def test_a_redirect_to_another_host_gets_no_token(
    demo: ForgeServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    demo.add_issue("octo/demo", 7)
    with ForgeServer(tmp_path_factory.mktemp("other")) as other:
        other.add_repository("octo/demo", {"a.py": ""})
        other.add_issue("octo/demo", 7)
        demo.answer(PATH, Answer(301, None, {"Location": f"{other.url}/api/v3{PATH}"}))
        fetch(demo, tokens=anonymous(GH_ENTERPRISE_TOKEN="entertoken"))
        assert any("Authorization" in seen.headers for seen in demo.seen)
        assert other.seen
        assert not any("Authorization" in seen.headers for seen in other.seen)


def test_pages_on_another_host_are_refused(demo: ForgeServer) -> None:
    demo.add_issue("octo/demo", 7, comments=["a"])
    link = {"Link": '<http://127.0.0.2:1/x?page=2>; rel="next"'}
    demo.answer(f"{PATH}/comments", Answer(200, [], link))
    with pytest.raises(ForgeError, match="another host"):
        fetch(demo)


@pytest.mark.parametrize("status", [403, 429])
def test_a_long_rate_limit_names_the_time(demo: ForgeServer, status: int) -> None:
    reset = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 3600)}
    demo.answer(PATH, Answer(status, {"message": "API rate limit exceeded"}, reset))
    with pytest.raises(ForgeError, match=r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC.*GH_ENTERPRISE_TOKEN"):
        fetch(demo)


def test_a_short_rate_limit_is_sat_out(demo: ForgeServer) -> None:
    demo.add_issue("octo/demo", 7)
    demo.answer(PATH, Answer(429, {"message": "slow down"}, {"retry-after": "1"}))
    told: list[str] = []
    started = time.monotonic()
    assert fetch(demo, on_line=told.append).id == "octo/demo#7"
    assert time.monotonic() - started >= 1
    assert "waiting 1 s" in told[0]


def test_no_server_at_all() -> None:
    started = time.monotonic()
    with pytest.raises(ForgeError, match="cannot reach"):
        fetch_issue("http://127.0.0.1:9/octo/demo/issues/1", env={}, tokens=anonymous())
    assert time.monotonic() - started < 5


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ForgeError, match="cannot reach"):
            fetch_issue(
                f"http://127.0.0.1:{silent.getsockname()[1]}/o/d/issues/1", env={}, tokens=anonymous()
            )
        assert time.monotonic() - started < 5


def test_an_endless_rate_limit_ends(demo: ForgeServer) -> None:
    demo.answer(
        PATH, *[Answer(429, {}, {"retry-after": "0"})] * 3, *[Answer(429, {}, {"retry-after": "59"})] * 9
    )
    with pytest.raises(ForgeError, match="limits the rate"):
        fetch(demo)


def test_redirects_in_circles_end(demo: ForgeServer) -> None:
    demo.answer(PATH, *[Answer(302, None, {"Location": f"{demo.url}/api/v3{PATH}"})] * 9)
    with pytest.raises(IssueError, match="moved"):
        fetch(demo)


@pytest.mark.parametrize("url", ["/etc", "file:///root/secret", "ext::sh -c id", "--upload-pack=id", ""])
def test_a_forge_cannot_name_a_local_place_to_clone(demo: ForgeServer, url: str) -> None:
    demo.add_issue("octo/demo", 7)
    demo.answer("/repos/octo/demo", Answer(200, {"full_name": "octo/demo", "clone_url": url}))
    with pytest.raises(ForgeError, match="no address on the network"):
        fetch(demo)


def test_a_private_repository_needs_its_token(demo: ForgeServer) -> None:
    demo.add_issue("octo/demo", 7)
    demo.private["octo/demo"] = "sesame"
    with pytest.raises(IssueError, match="private"):
        fetch(demo)
    assert fetch(demo, tokens=anonymous(GH_ENTERPRISE_TOKEN="sesame")).title == "A title"


def test_what_closed_an_issue_and_the_commit_before_it(demo: ForgeServer) -> None:
    before = demo.head("octo/demo")
    fix = demo.commit("octo/demo", {"a.py": "x = 2\n"}, "fix")
    demo.add_issue("octo/demo", 7, state="closed")
    demo.timelines["octo/demo", 7] = [{"event": "labeled"}, {"event": "closed", "commit_id": fix}]
    assert fetch(demo).fixed_by == fix
    assert fetch(demo).base_commit is None
    assert fetch(demo, before_fix=True).base_commit == before


def test_a_merged_pull_request_that_closes_the_issue(demo: ForgeServer) -> None:
    demo.add_issue("octo/demo", 7)
    demo.answer("/repos/octo/demo/pulls/8", *[Answer(200, {"merge_commit_sha": None})] * 2)
    merged = {"merged_at": "2024-01-01T00:00:00Z"}
    source = {"number": 8, "html_url": "URL8", "pull_request": merged, "body": "This fixes #7, I hope"}
    demo.timelines["octo/demo", 7] = [{"event": "cross-referenced", "source": {"issue": source}}]
    assert fetch(demo).fixed_by == "URL8"
    source["body"] = "Similar to #7"
    assert fetch(demo).fixed_by is None


def test_gitlab(forge: ForgeServer) -> None:
    forge.add_repository("group/sub/demo", {"a.py": "x = 1\n"})
    forge.add_issue("group/sub/demo", 3, title="Broken", comments=[f"c{n}" for n in range(130)])
    issue = fetch_issue(f"{forge.url}/group/sub/demo/-/issues/3", env={}, tokens=anonymous())
    assert (issue.id, issue.title, issue.state, issue.source) == (
        "group/sub/demo#3",
        "Broken",
        "open",
        "gitlab",
    )
    assert len(issue.comments) == 130  # system notes are left out
    assert issue.repository == f"{forge.url}/group/sub/demo.git"
