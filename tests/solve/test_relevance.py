"""Which failing tests are the issue's."""

from __future__ import annotations

import pytest

from swe_agent.orchestrator.solving.relevance import Failing, belonging
from swe_agent.tools.testing.report import Outcome, TestResult

ISSUE = "`parse_date` drops the time zone\n\nparse_date('2024-02-30T10:00') should raise ValueError."


def failing(test: str, message: str = "E   assert 1 == 2", body: str = "") -> Failing:
    return Failing(test, TestResult(Outcome.FAILED, None, message), body)


@pytest.mark.parametrize(
    "item",
    [
        failing("tests/test_dates.py::test_parse_date"),
        failing(
            "tests/test_dates.py::test_bad_day",
            body="with raises(ValueError):\n    parse_date('2024-02-30T10:00')",
        ),
        failing("tests/test_x.py::test_zone_is_kept", body="assert parse_date(text).tzinfo"),
        failing("tests/test_x.py::test_it", 'File "lib/dates.py", line 4, in parse_date\nE   KeyError: 3'),
    ],
)
def test_the_issues_own(item: Failing) -> None:
    other = failing("tests/test_colours.py::test_mix", body="assert mix(RED, BLUE) == VIOLET")
    found = belonging(ISSUE, [item, other])
    assert found.tests == {item.test}
    assert other.test in found.unrelated


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("E   ModuleNotFoundError: No module named 'yaml'", "module is missing"),
        ("E   socket.gaierror: [Errno -3] Temporary failure in name resolution", "no network"),
        ("E   FileNotFoundError: [Errno 2] No such file or directory: 'dot'", "the tool dot is missing"),
        ("E   PermissionError: [Errno 13]", "machine"),
        ("assert time.localtime().tm_zone == 'PST'", "machine"),
        (
            "E   DeprecationWarning: old is deprecated\n\n/env/lib/python3.9/site-packages/old.py:1: DeprecationWarning",
            "installed package warns",
        ),
        ("E   unittest.case.SkipTest: not on this system", "skipped"),
        (
            ">       raise XFail(name(func))\nE       project.testing.XFail: test_parse_date",
            "expected to fail",
        ),
    ],
)
def test_the_machines_own(message: str, why: str) -> None:
    item = failing("tests/test_dates.py::test_parse_date_over_http", message)
    found = belonging(ISSUE, [item])
    assert not found.tests
    assert why in found.unrelated[item.test]
    assert belonging(f"{ISSUE}\n{message.removeprefix('E   ')}", [item]).tests, (
        "unless the issue speaks of it"
    )


@pytest.mark.parametrize(
    "message",
    [
        ">       assert parse_date(text) == datetime(2024, 2, 1, tzinfo=timezone.utc)\n"
        "E       assert 1700 == datetime.datetime(2024, 2, 1, tzinfo=datetime.timezone.utc)",
        "    except URLError as error:\nE       assert parse_date('x') is None",
    ],
)
def test_words_of_the_code_are_not_the_machines(message: str) -> None:
    item = failing("tests/test_dates.py::test_parse_date", message)
    assert belonging("`parse_date` is wrong", [item]).tests == {item.test}


def test_an_issue_that_says_nothing_leaves_out_only_the_machine() -> None:
    items = [failing("t.py::test_a"), failing("t.py::test_b", "E   ModuleNotFoundError: No module named 'q'")]
    assert belonging("it is broken", items, rarity=lambda stem: 0.0).tests == {"t.py::test_a"}


def test_nothing_shows_an_issue_about_something_else() -> None:
    found = belonging(
        ISSUE, [failing("tests/test_colours.py::test_mix", body="assert mix(RED, BLUE) == VIOLET")]
    )
    assert not found.tests


def test_tests_that_fail_at_the_same_place_belong_together() -> None:
    at = 'File "lib/dates.py", line 4, in {}\nE   KeyError: 3'
    one, two = failing("t.py::test_a", at.format("parse_date")), failing("t.py::test_b", at.format("other"))
    assert belonging(ISSUE, [one, two]).tests == {"t.py::test_a", "t.py::test_b"}


def test_where_much_fails_because_of_the_machine_a_word_is_not_enough() -> None:
    word = failing("tests/test_x.py::test_zone")
    sick = [
        failing(f"tests/test_{n}.py::test", "E   ModuleNotFoundError: No module named 'q'") for n in range(60)
    ]
    assert belonging(ISSUE, [word]).tests == {word.test}
    assert not belonging(ISSUE, [word, *sick]).tests


def test_names_of_examples_and_what_an_installed_package_raises_are_weak() -> None:
    issue = "`Foo.bar` is not listed\n\nclass Foo:\n    def bar(self): ..."
    chance = failing("tests/test_x.py::test_layout", body="assert page('class Foo, foo, bar()') == 'Foo'")
    assert not belonging(issue, [chance]).tests
    inside = "E   KeyError: 'zone'\n\n/env/lib/python3.9/site-packages/other.py:1: KeyError"
    own = failing(
        "tests/test_x.py::test_it", "E   KeyError: 'zone'\n\nlib/dates.py:1: KeyError", "drops(text)"
    )
    theirs = failing("tests/test_x.py::test_it", inside, "drops(text)")
    evidence = [belonging(ISSUE, [item]).evidence[item.test] for item in (own, theirs)]
    assert evidence[1] == evidence[0] / 2 > 0


def test_folders_of_the_machine_are_no_words_of_a_test() -> None:
    message = "E   AssertionError: ['/home/zones/parse_date/venv/bin/python', '-m', 'colours']"
    item = failing("tests/test_colours.py::test_mix", message, "assert mix(RED, BLUE) == VIOLET")
    assert not belonging(ISSUE, [item]).tests
    assert belonging(f"{ISSUE}\nin /home/zones/parse_date/venv/bin/python", [item]).tests == {item.test}


def test_many_common_words_are_no_evidence() -> None:
    item = failing("tests/test_dates.py::test_text_with_a_zone", body="text, zone, parse, date, offset, utc")
    assert not belonging(ISSUE, [item], rarity=lambda stem: 0.25).tests - {item.test}
    assert belonging(ISSUE, [item], rarity=lambda stem: 0.9).tests == {item.test}
