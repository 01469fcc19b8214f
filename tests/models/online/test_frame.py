"""Bytes that come back as they went, and damage that is noticed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import ArtifactError
from models.online.frame import pack, unpack

SOME = [np.array([1.5, -0.0, np.nan, np.inf]), np.array([1, -2]), np.array([True, False])]
ANY = arrays.arrays(st.sampled_from([np.float64, np.int64, np.bool_, np.uint8]), st.integers(0, 20))


@given(st.lists(ANY, max_size=5))
def test_arrays_come_back_to_the_bit(sent: list[np.ndarray]) -> None:
    found = unpack("spot", 3, pack("spot", 3, sent))
    assert [(a.dtype, a.tobytes()) for a in found] == [(a.dtype, a.tobytes()) for a in sent]


@given(place=st.integers(0, 200), flip=st.integers(1, 255))
def test_any_damaged_byte_is_noticed(place: int, flip: int) -> None:
    data = bytearray(pack("spot", 1, SOME))
    data[place % len(data)] ^= flip
    with pytest.raises(ArtifactError):
        unpack("spot", 1, bytes(data))


@pytest.mark.parametrize("length", [0, 3, 10, 40])
def test_what_is_cut_short_is_noticed(length: int) -> None:
    with pytest.raises(ArtifactError, match="damaged or incomplete"):
        unpack("spot", 1, pack("spot", 1, SOME)[:length])


def test_another_kind_or_version_is_refused() -> None:
    data = pack("spot", 1, SOME)
    with pytest.raises(ArtifactError, match="but dspot 1 was expected"):
        unpack("dspot", 1, data)
    with pytest.raises(ArtifactError, match="but spot 2 was expected"):
        unpack("spot", 2, data)
