"""The plan of a search: what counts does not depend on the order in which answers come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swe_agent.agents.offline.engine import guard
from swe_agent.agents.offline.engine.candidate import Candidate, combined
from swe_agent.agents.offline.engine.chunk import Chunk, SourceFile
from swe_agent.agents.offline.engine.plan import Pace, Plan
from swe_agent.agents.offline.engine.rank import rank
from swe_agent.agents.offline.engine.worker import Goal

NOBODY = Candidate((), (), 1.0, 1)
PAIRS = st.lists(
    st.tuples(st.integers(1, 5000), st.sampled_from("abcdefghijkl")),
    min_size=1,
    max_size=30,
    unique_by=lambda p: p[0],
)


@given(PAIRS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_the_order_of_the_answers_does_not_matter(pairs, random, k):
    def counted(order):
        plan = Plan(20_000, k, 0, True)
        for number, key in order:
            plan.accept(number, NOBODY, key)
        return [number for number, _ in plan.plausible], plan.stop_at

    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert counted(pairs) == counted(shuffled)
    assert counted(pairs)[0][0] == min(number for number, _ in pairs)


@given(PAIRS, st.integers(1, 5))
def test_what_is_found_later_never_moves_the_end_back(pairs, k):
    plan, ends = Plan(20_000, k, 0, True), []
    for number, key in pairs:
        plan.accept(number, NOBODY, key)
        ends.append(plan.stop_at)
    assert ends == sorted(ends, reverse=True)


def test_a_plan_ends_at_its_effort():
    plan = Plan(3, 5, 0, True)
    assert [plan.next() for _ in range(3)] == [1, 2, 3]
    assert plan.done


def test_edits_of_one_function_go_together_where_they_do_not_touch():
    text = "def f(n):\n    if n == 1:\n        return 1\n    return 2\n"
    (chunk,) = SourceFile("a.py", text).chunks
    first = Candidate(((chunk, chunk.changed(text.replace("return 1", "return 0"))),), ("a",), 0.5, 3, 1)
    second = Candidate(((chunk, chunk.changed(text.replace("return 2", "return n"))),), ("b",), 0.5, 4, 2)
    other = Candidate(((chunk, chunk.changed(text.replace("return 1", "return 9"))),), ("c",), 0.9, 3, 1)
    both = combined([first, second, other])
    assert both[0].texts[0][1] == text.replace("return 1", "return 9").replace("return 2", "return n")
    assert [sorted(c.templates) for c in both] == [["b", "c"], ["a", "b"]]


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_change_makes_the_text_that_it_was_made_of(old, new):
    chunk = Chunk("a.py", old, 1, 0)
    assert chunk.replace(chunk.changed(new)) == new


def test_only_tests_that_call_what_is_changed_guard_it():
    first, second = SourceFile("a.py", "def f():\n    return 1\n\n\ndef g():\n    return 2\n").chunks
    goal = Goal(
        [0], [1, 2, 3], set(), set(), {1: {("a.py", first.first_line)}, 2: {("b.py", first.first_line)}}
    )
    assert goal.guarding([first]) == [1, 3]  # of 3 it is not known
    assert goal.guarding([second]) == [3]
    assert goal.guarding([first, second]) == [1, 3]


def test_an_endless_loop_ends_soon_where_only_the_neighbours_are_slow():
    assert Pace(0.001, 8.0).first_limit == 0.5
    assert Pace(0.001, 8.0).limit == 30.0
    assert Pace(0.0005, 0.001).first_limit == Pace(0.0005, 0.001).limit == 0.1


def test_a_part_of_the_effort_is_left_for_edits_put_together():
    plan = Plan(10, 5, 0, True, per=4)
    with plan.part():
        while not plan.done:
            plan.next()
    assert 0 < plan.number < plan.effort == 40
    assert not plan.done


def test_workers_share_the_memory_of_the_sandbox():
    for wanted in (1, 2, 8, 64):
        workers, each = guard.share(wanted, 4 << 30)
        assert 1 <= workers <= wanted
        assert (workers + 2) * each <= 4 << 30
        assert each >= 384 << 20


def test_the_faulty_function_comes_before_its_caller():
    text = "def hours(n):\n    return n // 60 + 1\n\n\ndef price(n):\n    return hours(n) * 5\n"
    file = SourceFile("a.py", text)
    hours, price = file.chunks if "hours(n):" in file.chunks[0].text else file.chunks[::-1]
    bent = Candidate(
        ((price, price.changed(price.text.replace("hours(n)", "hours(n - 1)"))),), ("off by one",), 0.9, 6
    )
    mended = Candidate(
        ((hours, hours.changed(hours.text.replace("n // 60", "(n - 1) // 60"))),), ("off by one",), 0.3, 2
    )
    assert rank([(1, bent), (9, mended)], {"a.py": file}) == [mended, bent]
    assert rank([(1, bent)], {"a.py": file}) == [bent]
