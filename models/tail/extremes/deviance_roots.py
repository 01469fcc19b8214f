"""From a deviance back to the parameter that has it.

Two parts of the likelihood of a tail have closed deviances: the shape at a given theta, 2 k h(x)
with h(x) = x - 1 - log x, and the rate of exceedances, which is binomial. The signed root of the
deviance runs evenly from one end of an interval to the other, so it is what one searches over.
"""

import numpy as np

from models.protocols import FloatArray

# x = 1 + r + r^2 / 3 + ... with 2 h(x) = r^2 (Temme, Uniform asymptotic expansions of the
# incomplete gamma functions, Math. Comp. 1979), highest power first
_SERIES = (-1 / 270, 1 / 36, 1 / 3, 1.0, 1.0)
_NEAR = 1e-3  # inside, the expansions have more digits than Newton


def factor_at(root: FloatArray) -> FloatArray:
    """Give the x on the root's side of 1 with 2 h(x) = root^2."""
    fourth, third, second, first, constant = _SERIES
    x = (((fourth * root + third) * root + second) * root + first) * root + constant
    # One step of Newton's method: with 20 excesses the series alone has 4 digits, this has 8.
    slope = np.where(np.abs(root) < _NEAR, np.inf, 1 - 1 / x)
    return x - (x - 1 - np.log(x) - root * root / 2) / slope


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
