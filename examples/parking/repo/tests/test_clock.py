import pytest

from parking.clock import parse, stay


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("01:30", 90), ("23:59", 1439)])
def test_parse(text, minutes):
    assert parse(text) == minutes


def test_stay_over_midnight():
    assert stay("23:30", "00:15") == 45
