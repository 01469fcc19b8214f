"""Snapshots: the same bits back, or a refusal."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.anomaly import codec
from models.errors import ArtifactError

ARRAYS = {
    "a": np.array([[0.1, np.nan], [np.inf, -0.0]]),
    "b": np.arange(5, dtype=np.int16),
    "c": np.zeros((0, 3)),
    "d": np.array(7, dtype=np.uint64),
    "e": np.array([1.5], dtype=np.float32),
}
WRITTEN = codec.encode("thing", {"size": 3, "even": True}, ARRAYS)


def test_the_same_bits_come_back() -> None:
    back = codec.decode(WRITTEN, "thing")
    assert (back.kind, back.settings) == ("thing", {"size": 3, "even": True})
    assert list(back.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert back.arrays[name].tobytes() == array.tobytes()
        assert (back.arrays[name].dtype, back.arrays[name].shape) == (array.dtype, array.shape)


def test_what_comes_back_can_be_written_to() -> None:
    codec.decode(WRITTEN, "thing").arrays["a"][0, 0] = 2.0
    assert codec.decode(WRITTEN, "thing").arrays["a"][0, 0] == 0.1


def test_how_an_array_lies_in_memory_does_not_matter() -> None:
    grid = np.arange(12.0).reshape(3, 4)
    back = codec.decode(codec.encode("t", {}, {"g": grid.T[::-1]}), "t")
    np.testing.assert_array_equal(back.arrays["g"], grid.T[::-1])


@given(st.integers(0, len(WRITTEN) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(where: int, by: int) -> None:
    broken = bytearray(WRITTEN)
    broken[where] ^= by
    with pytest.raises(ArtifactError):
        codec.decode(bytes(broken), "thing")


@given(st.integers(0, len(WRITTEN) - 1))
def test_a_lost_end_is_noticed(length: int) -> None:
    with pytest.raises(ArtifactError):
        codec.decode(WRITTEN[:length], "thing")


def test_another_kind_is_refused() -> None:
    with pytest.raises(ArtifactError, match="is of a 'thing', not of a 'other'"):
        codec.decode(WRITTEN, "other")


def test_another_release_is_refused_by_its_number() -> None:
    later = bytearray(WRITTEN)
    later[4:6] = struct.pack("<H", 9)
    with pytest.raises(ArtifactError, match="has format 9; this release reads 1"):
        codec.decode(bytes(later), "thing")


@pytest.mark.parametrize(("old", "new"), [(b'"<f8"', b'"|O8"'), (b"[5]", b"[9]"), (b"[5]", b"[4]")])
def test_a_header_that_does_not_fit_is_refused(old: bytes, new: bytes) -> None:
    body = WRITTEN[:-4].replace(old, new, 1)
    with pytest.raises(ArtifactError):
        codec.decode(body + struct.pack("<I", zlib.crc32(body)), "thing")


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        codec.encode("thing", {"size": float("nan")}, {})
