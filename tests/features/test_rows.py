import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import FeatureError, UnreadableFeaturesError
from features.rows import FeatureRow, decode

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text(), NUMBERS), NUMBERS)
def test_a_row_is_read_as_it_was_written(values: dict[str, float], event_time: float) -> None:
    row = FeatureRow(values, event_time)
    again = decode("auth", row.encode())
    assert again == row
    assert [math.copysign(1, value) for value in again.values.values()] == [
        math.copysign(1, value) for value in values.values()
    ]


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_reading_that_is_no_number_costs_only_itself(missing: float) -> None:
    again = decode("auth", FeatureRow({"load": missing, "infra": 0.25}, 60.0).encode())
    assert math.isnan(again.values["load"])
    assert again.values["infra"] == 0.25


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"7",
        b'{"values": {}}',
        b'{"event_time": 60}',
        b'{"values": {"load": "high"}, "event_time": 60}',
        b'{"values": {"load": [1]}, "event_time": 60}',
        b'{"values": [0.5], "event_time": 60}',
        b'{"values": {}, "event_time": null}',
    ],
)
def test_what_is_no_row_is_refused_with_the_entitys_name(stored: bytes) -> None:
    with pytest.raises(UnreadableFeaturesError, match="'order-gateway'"):
        decode("order-gateway", stored)
    assert issubclass(UnreadableFeaturesError, FeatureError)
