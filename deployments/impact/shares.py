"""How sure a share is that was counted on a sample."""

from typing import NamedTuple

from scipy.special import betaincinv

LEVEL = 0.95


class Interval(NamedTuple):
    low: float
    high: float


def share_interval(hits: int, drawn: int, among: int) -> Interval:
    """Bound a share of `among` by so many hits of so many drawn, with 95 % confidence.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934): the binomial's exact limits, which hold for draws without
    replacement as well. Where all were drawn there is nothing left to be unsure of.
    """
    if drawn == 0:
        return Interval(0.0, 1.0)
    if drawn >= among:
        return Interval(hits / drawn, hits / drawn)
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(hits, drawn - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, drawn - hits, 1 - tail)) if hits < drawn else 1.0
    return Interval(low, high)
