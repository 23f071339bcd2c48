"""A forge that answers with other JSON, a page, nothing or a bomb is told in one line."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from servers.odd_server import saying

from swe_agent.orchestrator.forges.fetch import fetch_issue
from swe_agent.orchestrator.forges.tokens import TokenSource
from swe_agent.tools.errors import ForgeError, IssueError

ISSUE = {"number": 1, "title": "t", "body": "b", "comments": 1, "iid": 1}
DEEP = b'{"a":' * 100_000
ODD = (
    b"", b"null", b"[]", b"3", b'"x"', b"<html>busy</html>", b"{", DEEP, b"\xff\xfe",
    json.dumps(ISSUE).encode(),
    json.dumps({**ISSUE, "labels": 3}).encode(), json.dumps({**ISSUE, "labels": [3], "assignees": [None]}).encode(),
    json.dumps({**ISSUE, "repository_url": 7, "title": {"a": 1}}).encode(),
    json.dumps({**ISSUE, "clone_url": 5, "http_url_to_repo": [], "path_with_namespace": 3}).encode(),
    json.dumps([{"user": 3}, 4, None, {"event": "cross-referenced", "source": 3}]).encode(),
)  # fmt: skip


@pytest.mark.parametrize("place", ["octo/demo/issues/1", "octo/demo/-/issues/1"])
@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_answers_are_one_line(body: bytes, place: str) -> None:
    with saying(body) as url, pytest.raises((ForgeError, IssueError)) as caught:
        fetch_issue(f"{url}/{place}", env={}, tokens=TokenSource({}))
    assert "\n" not in str(caught.value)


def test_a_zipped_answer_has_a_size() -> None:
    bomb = gzip.compress(b" " * (1 << 30), 9)
    started = time.monotonic()
    with (
        saying(bomb, ("Content-Encoding", "gzip")) as url,
        pytest.raises(ForgeError, match="larger than 64 MiB"),
    ):
        fetch_issue(f"{url}/octo/demo/issues/1", env={}, tokens=TokenSource({}))
    assert time.monotonic() - started < 30


def test_a_zipped_answer_is_read() -> None:
    zipped = gzip.compress(b"[1]")
    with (
        saying(zipped, ("Content-Encoding", "gzip")) as url,
        pytest.raises(ForgeError, match="is this GitHub"),
    ):
        fetch_issue(f"{url}/octo/demo/issues/1", env={}, tokens=TokenSource({}))
