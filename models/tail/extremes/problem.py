"""One end of one interval of one sample, as rows of arrays: what the search works through."""

from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from models.protocols import FloatArray, IntArray
from models.tail.extremes.gpd import excess_quantile, log_survival, mean_beyond
from models.tail.extremes.quantity import Kind, Quantity
from models.tail.extremes.region import Region


class Problems(NamedTuple):
    """Sorted by kind, so that each kind is one slice."""

    row: IntArray
    """Which row of the region it belongs to."""
    place: IntArray
    """Which of the row's quantities it is."""
    kind: IntArray
    side: FloatArray
    """1 for the upper end, -1 for the lower."""
    offset: FloatArray
    """Added to the log rate of peaks, gives the log-odds of a level or the log of a probability."""
    excess: FloatArray
    """How far above the threshold a given level lies, in the row's unit."""


def problems(region: Region, quantities: Sequence[Sequence[Quantity]]) -> Problems:
    listed = [
        (asked.kind, row, place, asked.argument, asked.of_peaks)
        for row, of_row in enumerate(quantities)
        for place, asked in enumerate(of_row)
    ]
    listed.sort(key=itemgetter(0))
    kind, row, place, argument, of_peaks = (
        np.repeat(column, 2) for column in zip(*listed, strict=True)
    )
    clusters = np.where(of_peaks, 0.0, region.log_cluster[row])
    chance = kind == Kind.EXCEEDANCE
    return Problems(
        row=row,
        place=place,
        kind=kind,
        side=np.tile([1.0, -1.0], len(listed)),
        offset=np.where(chance, clusters, clusters + argument),
        excess=np.where(chance, (argument - region.threshold[row]) / region.unit[row], 0.0),
    )


def values(
    asked: Problems, scale: FloatArray, shape: FloatArray, log_rate: FloatArray
) -> FloatArray:
    """Give each problem's quantity (problems, n, m), on the scale that it is searched on.

    Levels are excesses in the row's unit, means beyond minus the inverse of that, probabilities
    logs.
    """
    found = np.empty(scale.shape)
    starts = np.searchsorted(asked.kind, _KINDS).tolist()
    offset, excess = asked.offset[:, None, None], asked.excess[:, None, None]
    for value, (start, end) in zip(_VALUES, pairwise(starts), strict=True):
        if start < end:
            own = slice(start, end)
            odds = log_rate[own] + offset[own]
            found[own] = value(scale[own], shape[own], odds, excess[own])
    return found


def _shape(_: FloatArray, shape: FloatArray, __: FloatArray, ___: FloatArray) -> FloatArray:
    return shape


def _scale(scale: FloatArray, _: FloatArray, __: FloatArray, ___: FloatArray) -> FloatArray:
    return scale


def _level(scale: FloatArray, shape: FloatArray, odds: FloatArray, _: FloatArray) -> FloatArray:
    return excess_quantile(odds, scale, shape)


def _mean(scale: FloatArray, shape: FloatArray, odds: FloatArray, _: FloatArray) -> FloatArray:
    # Its inverse runs on smoothly to where the mean is infinite; minus, to rise with it.
    return -1 / mean_beyond(odds, scale, shape)


def _chance(
    scale: FloatArray, shape: FloatArray, log_rate: FloatArray, excess: FloatArray
) -> FloatArray:
    return log_rate + log_survival(excess, scale, shape)


_VALUES = (_shape, _scale, _level, _mean, _chance)
_KINDS = np.arange(len(Kind) + 1)
