"""Samples of like size side by side, so that many are fitted with one call of numpy.

A sample's row is padded with noughts to a width that depends on its own size alone, and only rows
of one width share a bundle: every sum runs over the same numbers in the same order whatever the
neighbours, so that a row's answer keeps its bits. An excess of nought adds nothing to any sum here.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from models.protocols import FloatArray
from models.tail.extremes.excesses import Excesses

_LEAST = 256  # narrower rows cost the same: the calls weigh more than the numbers
_LARGEST = 1 << 22  # elements a bundle: past that the temporaries no longer fit any cache


class Bundle(NamedTuple):
    excess: FloatArray
    """(rows, width), padded with noughts, in units of each row's mean excess."""
    peaks: FloatArray
    """How many each row has."""
    unit: FloatArray
    """Each row's mean excess."""
    top: FloatArray
    """Each row's largest excess, in its unit."""


def bundled(samples: Sequence[Excesses]) -> Iterator[tuple[list[int], Bundle]]:
    """Give each bundle with the places of its rows among the samples."""
    widths = [_width(sample.excess.size) for sample in samples]
    for width in sorted(set(widths)):
        places = [place for place, own in enumerate(widths) if own == width]
        step = max(1, _LARGEST // (64 * width))
        for start in range(0, len(places), step):
            part = places[start : start + step]
            yield part, _bundle([samples[place] for place in part], width)


def _bundle(samples: list[Excesses], width: int) -> Bundle:
    excess = np.zeros((len(samples), width))
    for row, sample in zip(excess, samples, strict=True):
        row[: sample.excess.size] = sample.excess
    peaks = np.array([float(sample.excess.size) for sample in samples])
    unit = excess.sum(axis=1) / peaks
    excess /= unit[:, None]
    return Bundle(excess, peaks, unit, excess.max(axis=1))


def _width(size: int) -> int:
    """Round up to a power of two: few widths, so that many rows share a bundle."""
    return max(_LEAST, 1 << (size - 1).bit_length())
