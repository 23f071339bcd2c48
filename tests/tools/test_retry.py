"""The one retry policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.retry import RetryPolicy

policies = st.builds(
    RetryPolicy,
    st.floats(0.01, 10),
    st.floats(1, 100),
    st.none() | st.integers(1, 5),
    st.none() | st.floats(0, 50),
    st.booleans(),
)


@given(policies, st.integers(1, 200))
def test_a_pause_is_bounded_and_what_was_asked_for_comes_first(policy: RetryPolicy, failures: int) -> None:
    assert 0 <= policy.pause_s(failures) <= policy.longest_s
    assert policy.pause_s(failures, 77.0) == 77.0
    if not policy.jitter:
        assert policy.pause_s(failures) <= policy.pause_s(failures + 1)


@pytest.mark.parametrize(
    ("policy", "made"), [(RetryPolicy(0.001, attempts=3), 3), (RetryPolicy(9, total_s=1), 1)]
)
def test_the_loop_ends_with_the_last_failure_as_it_is(policy: RetryPolicy, made: int) -> None:
    tries: list[int] = []
    heard: list[float] = []

    def fail() -> None:
        tries.append(1)
        raise OSError(f"try {len(tries)}")

    loop = policy.retrying(
        lambda error: isinstance(error, OSError), waiting=lambda error, pause: heard.append(pause)
    )
    with pytest.raises(OSError, match=f"try {made}"):
        loop(fail)
    assert len(heard) == made - 1


def test_what_is_not_wanted_is_raised_at_once() -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        RetryPolicy(0.001, attempts=5).retrying(lambda error: isinstance(error, OSError))(fail)
    assert len(tries) == 1
