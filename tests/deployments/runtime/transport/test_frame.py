import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deployments.runtime.transport.frame import (
    ANSWER,
    ASK,
    FAILURE,
    HANDSHAKE,
    LARGEST,
    Assembler,
    DamagedFrameError,
    Frame,
    decode,
    encode,
)

HEADS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda parts: (
            st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)
# Every bit pattern there is: subnormal numbers, both zeros, infinities, NaN of any payload.
COLUMNS = st.integers(0, 9).flatmap(
    lambda rows: st.dictionaries(
        st.text(max_size=5), arrays(np.float64, rows, elements=st.floats()), max_size=5
    )
)
FRAMES = st.builds(Frame, COLUMNS, HEADS)
NUMBERS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from((ASK, ANSWER, FAILURE, HANDSHAKE))
LENGTH_BYTES = 4


def body(head: Any, rows: int, block: bytes = b"", *, said: int | None = None) -> bytes:
    """Lay out what follows a frame's length, as its format says and without our own encoder."""
    named = orjson.dumps(head)
    return struct.pack("<IBII", 1, ASK, len(named) if said is None else said, rows) + named + block


def same(one: Frame, other: Frame) -> bool:
    bits = [
        {name: column.tobytes() for name, column in frame.columns.items()} for frame in (one, other)
    ]
    return bits[0] == bits[1] and list(one.columns) == list(other.columns)


@given(FRAMES, NUMBERS, KINDS)
def test_a_frame_is_read_as_it_was_written(frame: Frame, number: int, kind: int) -> None:
    data = encode(frame, number, kind)
    assert int.from_bytes(data[:LENGTH_BYTES], "little") == len(data) - LENGTH_BYTES
    again_number, again_kind, again = decode(data[LENGTH_BYTES:])
    assert (again_number, again_kind, again.head) == (number, kind, frame.head)
    assert same(again, frame)


def test_the_bytes_are_those_that_the_format_says() -> None:
    frame = Frame({"load": np.array([0.5, 1.5]), "infra": np.array([0.0, -0.0])}, {"family": "x"})
    named = b'[["load","infra"],{"family":"x"}]'
    block = struct.pack("<4d", 0.5, 1.5, 0.0, -0.0)
    length = struct.pack("<I", 13 + len(named) + len(block))
    assert encode(frame, 7, ASK) == length + struct.pack("<IBII", 7, 0, 33, 2) + named + block


def test_counts_and_flags_travel_as_floats() -> None:
    columns: Any = {"workers": np.array([3, 4]), "flag": np.array([True, False])}
    found = decode(encode(Frame(columns), 1, ASK)[LENGTH_BYTES:])[2].columns
    assert found["workers"].tolist() == [3.0, 4.0]
    assert found["flag"].tolist() == [1.0, 0.0]


def test_columns_of_unequal_length_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        encode(Frame({"load": np.zeros(2), "infra": np.zeros(3)}), 1, ASK)


@settings(max_examples=50)
@given(st.lists(FRAMES, max_size=4), st.data())
def test_frames_come_whole_however_the_network_cuts_them(
    frames: list[Frame], data: st.DataObject
) -> None:
    stream = b"".join(encode(frame, number, ASK) for number, frame in enumerate(frames))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    assembler = Assembler()
    found = [
        decode(whole)
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for whole in assembler.feed(stream[start:stop])
    ]
    assert [number for number, _, _ in found] == list(range(len(frames)))
    assert all(same(got, sent) for (_, _, got), sent in zip(found, frames, strict=True))


@settings(max_examples=50)
@given(FRAMES, st.data())
def test_a_frame_cut_short_is_told(frame: Frame, data: st.DataObject) -> None:
    whole = encode(frame, 1, ASK)[LENGTH_BYTES:]
    keep = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DamagedFrameError):
        decode(whole[:keep])


@settings(max_examples=50)
@given(FRAMES, st.data())
def test_a_damaged_frame_is_told_or_still_a_frame(frame: Frame, data: st.DataObject) -> None:
    whole = bytearray(encode(frame, 1, ASK)[LENGTH_BYTES:])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    _decode_or_refuse(bytes(whole))


@given(st.binary(max_size=80))
@example(body(3, 0))
@example(body([[], {}, 1], 0))
def test_any_bytes_at_all_are_told_or_a_frame(noise: bytes) -> None:
    _decode_or_refuse(noise)


def _decode_or_refuse(whole: bytes) -> None:
    try:
        _, _, frame = decode(whole)
    except DamagedFrameError:
        return
    assert isinstance(frame.head, dict)
    assert all(isinstance(name, str) for name in frame.columns)


@pytest.mark.parametrize(
    "whole",
    [
        body([[], []], 0),  # the head is no object
        body([[], None], 0),
        body([[1], {}], 1, bytes(8)),  # a column without a name
        body([[["a"]], {}], 1, bytes(8)),
        body([["a"], {}], 2, bytes(8)),  # fewer numbers than rows
        body([["a"], {}], 1, bytes(7)),  # no whole number of numbers
        body([["a"], {}], 0, bytes(8)),
        body([["a"], {}], 2**32 - 1, bytes(8)),
        body([["a"], {}], 1, bytes(8), said=2**32 - 1),
        body([["a"], {}], 1, bytes(8), said=0),
        body({}, 0),
    ],
)
def test_what_is_no_frame_is_refused(whole: bytes) -> None:
    with pytest.raises(DamagedFrameError):
        decode(whole)


def test_a_length_that_nobody_sends_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(DamagedFrameError, match=str(LARGEST + 1)):
        next(Assembler().feed(struct.pack("<I", LARGEST + 1)))
    assert list(Assembler().feed(struct.pack("<I", LARGEST))) == []


def test_the_bound_may_be_raised_between_two_frames_of_one_piece() -> None:
    small, large = (encode(Frame({}, {"text": "x" * size}), 1, ASK) for size in (1, 500))
    assembler = Assembler(largest=len(small))
    found = []
    for whole in assembler.feed(small + large):
        assembler.largest = len(large)
        found.append(decode(whole)[2].head["text"])
    assert found == ["x", "x" * 500]
