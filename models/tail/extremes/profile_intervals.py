"""Profile-likelihood intervals of anything asked of a tail, all of them in one search.

Each end of each interval is the largest or smallest value of its quantity on the surface of the
sample's likelihood region (see `region`). So ends need no symmetry, and are infinite where the
quantity is somewhere in the region.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from models.protocols import FloatArray
from models.tail.extremes.bundle import bundled
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.problem import Problems, problems, values
from models.tail.extremes.quantity import Kind, Quantity
from models.tail.extremes.region import Region, joined, region_of
from models.tail.extremes.surface_kernel import REGION, surface_maxima

_TOGETHER = 64  # rows: more of them no longer fit a processor's cache


class Estimate(NamedTuple):
    """A quantity with its interval; NaN where a level would lie below the threshold."""

    value: float
    lower: float
    upper: float


def intervals(
    fits: Sequence[GpdFit],
    quantities: Sequence[Sequence[Quantity]],
    confidence: Sequence[float],
    *,
    rate_known: bool = False,
) -> list[list[Estimate]]:
    """Answer each fit's quantities at its confidence; the same bits whatever rides along.

    With `rate_known` the rate of exceedances counts as exact, as in Coles's examples.
    """
    answers: list[list[Estimate]] = []
    for start in range(0, len(fits), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        asked, level = quantities[part], np.array(confidence[part])
        if any(asked):
            answers += _answered(_region(fits[part], level, rate_known=rate_known), asked)
        else:
            answers += [[] for _ in asked]
    return answers


def _region(fits: Sequence[GpdFit], confidence: FloatArray, *, rate_known: bool) -> Region:
    """Give all fits' regions, in their order."""
    order: list[int] = []
    regions: list[Region] = []
    for places, bundle in bundled([fit.sample for fit in fits]):
        own = [fits[place] for place in places]
        regions.append(region_of(bundle, own, confidence[places], rate_known=rate_known))
        order += places
    return joined(regions).rows(np.argsort(order))


def _answered(region: Region, quantities: Sequence[Sequence[Quantity]]) -> list[list[Estimate]]:
    asked = problems(region, quantities)
    at = [column[asked.row][:, None, None] for column in region.estimate]
    # Ends may be infinite: where the mean is, or the log of a probability of nought.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = values(asked, *at)[:, 0, 0]
        start = asked.side * value
        end = asked.side * np.fmax(_highest(region, asked, start), start)
        found = _restored(np.stack([value, end]), region, asked)
    rows: list[dict[int, Estimate]] = [{} for _ in quantities]
    for row, place, estimate in _paired(asked, found):
        rows[row][place] = estimate
    return [[row[place] for place in range(len(row))] for row in rows]


def _highest(region: Region, asked: Problems, start: FloatArray) -> FloatArray:
    """Maximise side x quantity over the surface, for each problem; `start` is at the estimate.

    On a grid of both angles first, then on the quadratic through nine points ever closer together:
    no derivative is needed, and a quantity that is infinite somewhere is found to be.
    """
    rows = np.column_stack([getattr(region, name) for name in REGION]).astype(np.float64)
    curve = np.ascontiguousarray(region.curve)
    found: FloatArray = surface_maxima(
        rows, curve, asked.row, asked.kind, asked.side, asked.offset, asked.excess, start
    )
    return found


def _paired(asked: Problems, found: FloatArray) -> Iterator[tuple[int, int, Estimate]]:
    """Put both ends of a quantity together: they follow each other, the upper one first."""
    value, end = found.tolist()
    places = zip(asked.row[::2].tolist(), asked.place[::2].tolist(), strict=True)
    for (row, place), middle, upper, lower in zip(
        places, value[::2], end[::2], end[1::2], strict=True
    ):
        yield row, place, Estimate(middle, lower, upper)


def _restored(found: FloatArray, region: Region, asked: Problems) -> FloatArray:
    """From the scales of the search back to what was asked."""
    threshold, unit = region.threshold[asked.row], region.unit[asked.row]
    mean, chance = asked.kind == Kind.MEAN_BEYOND, asked.kind == Kind.EXCEEDANCE
    level = mean | (asked.kind == Kind.LEVEL)
    too_likely = region.log_rate[asked.row] + asked.offset < 0
    below = (level & too_likely) | (chance & (asked.excess < 0))
    found = np.where(mean, -1 / np.where(mean & (found < 0), found, -0.0), found)
    found = np.where(level, threshold + unit * found, found)
    found = np.where(asked.kind == Kind.SCALE, unit * found, found)
    found = np.where(chance, np.minimum(np.exp(np.where(chance, found, 0)), 1), found)
    return np.where(below, np.nan, found)
