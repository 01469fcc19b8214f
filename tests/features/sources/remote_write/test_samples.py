"""Samples come out of an entry as they went in, and nothing else comes out of any bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import UnreadableTelemetryError
from features.sources.remote_write.needed import Series
from features.sources.remote_write.samples import Samples, decode, encode

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
SERIES = st.builds(
    Series,
    st.integers(0, 2**64 - 1),
    st.text(max_size=9),
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple),
)


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    series = draw(st.lists(SERIES, min_size=1, max_size=5))
    points = draw(
        st.lists(
            st.tuples(
                st.integers(0, len(series) - 1),
                st.integers(-(2**63), 2**63 - 1),
                st.one_of(st.floats(), st.just(STALE)),
            ),
            max_size=20,
        )
    )
    rows, times, values = zip(*points, strict=True) if points else ((), (), ())
    return Samples(
        series,
        np.array(rows, np.uint32),
        np.array(times, np.int64),
        np.frombuffer(struct.pack(f"<{len(values)}d", *values)),
    )


@given(samples())
def test_an_entry_gives_back_every_bit(given_: Samples) -> None:
    found = decode(encode(given_))
    assert list(found.series) == list(given_.series)
    for name in ("rows", "times", "values"):
        assert getattr(found, name).tobytes() == getattr(given_, name).tobytes()


@settings(max_examples=150)
@given(samples(), st.data())
def test_damage_is_refused_or_harmless(given_: Samples, data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.one_of(st.binary(max_size=80), st.just(encode(given_)))))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        found = decode(bytes(raw))
    except UnreadableTelemetryError:
        return
    assert not len(found) or found.rows.max() < len(found.series)


def test_an_entry_of_another_version_is_refused() -> None:
    entry = encode(Samples([], np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0)))
    with pytest.raises(UnreadableTelemetryError, match="version 1"):
        decode(bytes((2,)) + entry[1:])
