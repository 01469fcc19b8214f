"""All parameters that a sample does not rule out: its likelihood region.

The profile-likelihood interval of any quantity is what the quantity ranges over in the region
where the deviance stays under the chi-square quantile (Coles 2001, section 2.6.6). The deviance
of a tail is a sum of three parts, of s, of the shape given s, and of the rate of peaks. So the
region's surface is had from two angles: t runs over s, phi shares what is left of the allowance
between shape and rate.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from models.protocols import BoolArray, FloatArray, IntArray
from models.tail.extremes import chebyshev
from models.tail.extremes.bundle import Bundle
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.gpd_profile import (
    HIGHEST,
    LEAST_SHAPE,
    LOWEST,
    mean_log,
    profile,
    theta_of,
)

_OUTWARD = np.geomspace(0.2, 120, 16)
_DENSE = np.linspace(-1, 1, 129)
_DENSE_WEIGHTS = chebyshev.weights_at(_DENSE)


class Region(NamedTuple):
    """A row a sample; scales and excesses in units of its mean excess."""

    threshold: FloatArray
    unit: FloatArray
    scale: FloatArray
    shape: FloatArray
    """As fitted."""
    log_cluster: FloatArray
    """Log of the exceedances a peak."""
    top: FloatArray
    peaks: FloatArray
    observed: FloatArray
    """Values seen; made up where the rate is known, and then of no effect."""
    rate_known: BoolArray
    log_rate: FloatArray
    """Of peaks, as counted."""
    allowance: FloatArray
    """The chi-square quantile."""
    best: FloatArray
    """The largest profile log-likelihood an excess."""
    middle: FloatArray
    half: FloatArray
    """The interpolated curve lies over middle +- half."""
    curve: FloatArray
    """log(m(theta) / theta) at the Chebyshev nodes."""
    low: FloatArray
    high: FloatArray
    """Where s must lie."""

    @property
    def estimate(self) -> "Point":
        return Point(self.scale, self.shape, self.log_rate)

    def rows(self, rows: IntArray) -> "Region":
        return Region._make(column[rows] for column in self)


class Point(NamedTuple):
    scale: FloatArray
    shape: FloatArray
    log_rate: FloatArray


def region_of(
    bundle: Bundle, fits: Sequence[GpdFit], confidence: FloatArray, *, rate_known: bool
) -> Region:
    scale, shape, value, threshold, observed, cluster = _columns(fits)
    scale = scale / bundle.unit
    best = value / bundle.peaks + np.log(bundle.unit)
    s = np.log1p(np.maximum(shape / scale * bundle.top, np.expm1(LOWEST)))
    allowance = ndtri((1 + confidence) / 2) ** 2
    low, high = _outside(bundle, best, s, allowance)
    middle, half = (low + high) / 2, (high - low) / 2
    theta = theta_of(middle[:, None] + half[:, None] * chebyshev.NODES, bundle.top[:, None])
    log_rate = np.log(bundle.peaks / observed)
    known = (log_rate >= 0) | rate_known
    region = Region(
        threshold=threshold,
        unit=bundle.unit,
        scale=scale,
        shape=shape,
        log_cluster=np.log(cluster),
        top=bundle.top,
        peaks=bundle.peaks,
        observed=np.where(known, 2 * bundle.peaks, observed),
        rate_known=known,
        log_rate=log_rate,
        allowance=allowance,
        best=best,
        middle=middle,
        half=half,
        curve=np.log(mean_log(bundle, theta) / theta),
        low=low,
        high=high,
    )
    return _trimmed(region, s)


def joined(regions: Sequence[Region]) -> Region:
    """Put the rows of several regions into one."""
    if len(regions) == 1:
        return regions[0]
    return Region(*(np.concatenate(columns) for columns in zip(*regions, strict=True)))


def _columns(fits: Sequence[GpdFit]) -> FloatArray:
    """Give scale, shape, log-likelihood, threshold, values seen and exceedances a peak."""
    rows = [
        (
            fit.scale,
            fit.shape,
            fit.log_likelihood,
            fit.sample.threshold,
            fit.sample.observed,
            fit.sample.cluster_size,
        )
        for fit in fits
    ]
    return np.array(rows, dtype=np.float64).T.copy()


def _outside(
    bundle: Bundle, best: FloatArray, s: FloatArray, allowance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Find on either side of the estimate a point that the region does not reach."""
    step = _OUTWARD / np.sqrt(bundle.peaks)[:, None] * 4
    places = np.concatenate([s[:, None] - step, s[:, None] + step], axis=1)
    places = np.clip(places, LOWEST, HIGHEST)
    theta = theta_of(places, bundle.top[:, None])
    shape = mean_log(bundle, theta)
    lost = best[:, None] - profile(shape, theta) + _loss_of_least(shape)
    out = 2 * bundle.peaks[:, None] * lost > allowance[:, None]
    sides = out.reshape(len(s), 2, -1)
    sides[:, :, -1] = True
    rows = np.arange(len(s))
    first = sides.argmax(axis=2)
    return places[rows, first[:, 0]], places[rows, step.shape[1] + first[:, 1]]


def _trimmed(region: Region, s: FloatArray) -> Region:
    """Cut the range of s to where the deviance of s alone stays within the allowance."""
    log_ratio = (region.curve[:, None, :] * _DENSE_WEIGHTS).sum(axis=-1)
    places = region.middle[:, None] + region.half[:, None] * _DENSE
    shape = theta_of(places, region.top[:, None]) * np.exp(log_ratio)
    allowance = region.allowance[:, None]
    spent = allowance - _left(region, shape, log_ratio)
    spent += 2 * region.peaks[:, None] * _loss_of_least(shape)
    # Roots of the deviance run nearly straight, so that a line finds where they cross.
    slack = np.sqrt(allowance) - np.sqrt(np.maximum(spent, 0))
    low, high = _crossings(places, slack, s)
    return region._replace(low=low, high=high)


def _crossings(
    places: FloatArray, slack: FloatArray, s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Interpolate where the slack crosses nought, nearest to s on either side."""
    rows = np.arange(len(s))
    out, columns = slack < 0, np.arange(places.shape[1])
    below = np.where(out & (places < s[:, None]), columns, 0).max(axis=1)
    above = np.where(out & (places > s[:, None]), columns, columns[-1]).min(axis=1)
    ends = []
    for outer, inner in ((below, below + 1), (above, above - 1)):
        far, near = slack[rows, outer], slack[rows, inner]
        share = np.where(far < 0, far / np.where(far < 0, far - near, 1.0), 0.0)
        start, end = places[rows, outer], places[rows, inner]
        ends.append(start + share * (end - start))
    return ends[0], ends[1]


def _loss_of_least(shape: FloatArray) -> FloatArray:
    """Give what an excess loses where the best shape is under -1 and -1 must do."""
    factor = np.maximum(shape / LEAST_SHAPE, 1.0)
    loss: FloatArray = factor - 1 - np.log(factor)
    return loss


def _left(region: Region, shape: FloatArray, log_ratio: FloatArray) -> FloatArray:
    """Give what s leaves of the allowance."""
    lost = region.best[:, None] + log_ratio + shape + 1
    left: FloatArray = region.allowance[:, None] - 2 * region.peaks[:, None] * lost
    return left
