from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import UnreadableTelemetryError
from features.sources.simulator.platform import Platform
from features.sources.source import Complaint, Gathered
from features.telemetry.columns import Telemetry
from features.telemetry.packed import pack, unpack

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC
HOUR = Platform(1).minutes("auth", NOON, NOON + 3600)
SOME = Gathered(HOUR, (Complaint("out of bounds", 3, "cpu of 'é' is 7"),))


def same(one: Telemetry, other: Telemetry) -> bool:
    return all(
        np.array_equal(values, other.columns()[name], equal_nan=values.dtype.kind == "f")
        and values.dtype.kind == other.columns()[name].dtype.kind
        for name, values in one.columns().items()
    )


def test_every_column_comes_back_and_so_do_the_complaints() -> None:
    again = unpack(pack(SOME))
    assert same(again.telemetry, HOUR)
    assert again.complaints == SOME.complaints


def test_what_says_nothing_takes_no_room() -> None:
    nothing = np.full(len(HOUR), np.nan)
    sparse = replace(
        HOUR,
        exemplars=np.full_like(HOUR.exemplars, np.nan),
        p99_ms=nothing,
        session=np.full(len(HOUR), "", dtype="U9"),
        regime=np.zeros_like(HOUR.regime),
    )
    packed = pack(Gathered(sparse))
    assert same(unpack(packed).telemetry, sparse)
    assert len(packed) < 0.6 * len(pack(SOME))


def test_no_rows_at_all_come_back_as_none() -> None:
    assert len(unpack(pack(Gathered(Telemetry.empty()))).telemetry) == 0


@given(st.data())
def test_damaged_bytes_are_never_taken_for_telemetry(data: st.DataObject) -> None:
    packed = bytearray(pack(SOME))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        again = unpack(bytes(packed))
    except UnreadableTelemetryError:
        return
    assert same(again.telemetry, HOUR)  # a bit of zlib's own head that says nothing


@pytest.mark.parametrize(
    "damaged", [b"", b"\x01", b"\x02" + pack(SOME)[1:], pack(SOME)[:-1], pack(SOME) + b"x"]
)
def test_another_format_and_another_length_are_refused(damaged: bytes) -> None:
    with pytest.raises(UnreadableTelemetryError):
        unpack(damaged)
