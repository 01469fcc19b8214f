"""From a deviance back to the rate of exceedances that has it.

The count is binomial, so its deviance is closed. The signed root of the deviance runs evenly from
one end of an interval to the other, so it is what one searches over.
"""

import numpy as np

from models.protocols import FloatArray

_NEAR = 1e-3  # inside, the expansion has more digits than Newton


def log_rate_change(root: FloatArray, exceeded: FloatArray, observed: FloatArray) -> FloatArray:
    """Give by how much the log rate differs from the count's own where its deviance is root^2.

    In log-odds, where the deviance is convex: its expansion at the estimate, and one step of
    Newton's method.
    """
    others = observed - exceeded
    odds = exceeded / others
    skew = (others - exceeded) / observed
    kurtosis = 1 - 6 * odds / (1 + odds) ** 2
    cubic = (5 * skew * skew - 3 * kurtosis) / 72
    step = root * np.sqrt(observed / (exceeded * others))
    step = step * (1 - step * (skew / 6 - step * cubic))
    half, deviance, slope = root * root / 2, *_deviance(step, odds, exceeded, observed)
    step = step - (deviance - half) / np.where(np.abs(step) < _NEAR, np.inf, slope)
    return step - np.log((1 + odds * np.exp(step)) / (1 + odds))


def _deviance(
    step: FloatArray, odds: FloatArray, exceeded: FloatArray, observed: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give half the deviance, and its slope, a step of log-odds away from the estimate."""
    grown = odds * np.exp(step)
    deviance = observed * np.log((1 + grown) / (1 + odds)) - exceeded * step
    return deviance, observed * grown / (1 + grown) - exceeded
