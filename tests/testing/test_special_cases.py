"""A branch for the very values of a test, with its expected answer, is shown; ordinary code is not."""

from __future__ import annotations

import pytest

from swe_agent.tools.testing.special_cases import special_cases

TEST = "def test_total():\n    assert total([1, 2], 'third') == 37\n    assert name(7) == 'seven'\n"
METHOD = "    def test_total(self):\n        self.assertEqual(total((1, 2)), 37)\n"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("if items == [1, 2]:\n        return 37", True),
        ("if tuple(items) == (1, 2):\n        return 37", True),
        ("if [1, 2] == items and 4:\n        n = 37", True),
        ("if word in ('first', 'third'):\n        return 37", True),
        ("return 37 if word == 'third' else 0", True),
        ("return {7: 'seven'}[items]", True),
        ("if items == [1, 2]:\n        return 38", False),
        ("if items == []:\n        return 37", False),
        ("if items == 0:\n        return None", False),
        ("if items == [1, 2]:\n        return sum(items)", False),
        ("if len(items) > 2:\n        return 37", False),
    ],
)
def test_what_is_shown(code: str, shown: bool) -> None:
    old = "def total(items, word=''):\n    return 1\n"
    new = old.replace("return 1", f"{code}\n    return 1")
    found = special_cases({"a.py": old}, {"a.py": new}, {"t.py::test_total": TEST})
    assert bool(found) is shown, found
    assert special_cases({"a.py": new}, {"a.py": f"# moved\n{new}"}, {"t.py::test_total": TEST}) == ()


def test_it_is_named_by_place_values_and_test() -> None:
    new = "def total(items):\n    if items == (1, 2):\n        return 37\n"
    found = special_cases(
        {"a.py": None, "b.js": None}, {"a.py": new, "b.js": "if"}, {"T::test_total": METHOD}
    )
    assert found == ("a.py:2: answers [1, 2] with 37, as T::test_total asks",)


def test_a_large_file_and_a_huge_number_are_no_trouble() -> None:
    old = "x = 1\n" * 60_000
    assert (
        special_cases({"a.py": old}, {"a.py": f"{old}if x == 0x{'f' * 9000}:\n    x = 37\n"}, {"t": TEST})
        == ()
    )
