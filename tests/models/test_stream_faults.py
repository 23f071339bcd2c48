"""Streams that break, over real HTTP."""

from __future__ import annotations

import pytest
from models.test_faults import ask, client_of
from servers.model_server import ModelServer

from swe_agent.tools.errors import ModelError


@pytest.mark.parametrize("fault", ["cut_stream", "clean_cut", "silent_stream"])
def test_a_broken_stream_is_retried(fault: str) -> None:
    replies = [{"fault": fault, "content": "one two three four"}, {"content": "five six"}]
    with ModelServer(replies) as server:
        client = client_of(server, stream=True, inactivity_s=0.4)
        assert ask(client).message.content == "five six"
        assert len(server.calls) == 2


def test_a_slow_stream_that_keeps_talking_is_not_cut() -> None:
    with ModelServer([{"content": "a b c d e f g h", "chunk_delay_s": 0.15}]) as server:
        assert ask(client_of(server, stream=True, inactivity_s=0.5)).message.content == "a b c d e f g h"


def test_a_stream_without_end_meets_the_timeout() -> None:
    endless = {"content": "a " * 500, "chunk_delay_s": 0.05}
    with ModelServer([endless]) as server, pytest.raises(ModelError, match="1 s"):
        ask(client_of(server, stream=True, timeout_s=1.0, max_retry_s=0.5))
