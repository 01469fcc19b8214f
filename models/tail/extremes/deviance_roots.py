"""From a deviance back to the parameter that has it.

Two parts of the likelihood of a tail have closed deviances: the shape at a given theta, 2 k h(x)
with h(x) = x - 1 - log x, and the rate of exceedances, which is binomial. The signed root of the
deviance runs evenly from one end of an interval to the other, so it is what one searches over.
"""

import numpy as np

from models.protocols import FloatArray

# x = 1 + r + r^2 / 3 + ... with 2 h(x) = r^2 (Temme, Uniform asymptotic expansions of the
# incomplete gamma functions, Math. Comp. 1979), highest power first
_SERIES = (-139 / 5_443_200, 1 / 17_010, 1 / 4_320, -1 / 270, 1 / 36, 1 / 3, 1.0, 1.0)
_FACTOR_STEPS = 1
_RATE_STEPS = 2
_NEAR_ROOT, _NEAR_STEP = 1e-2, 1e-3  # inside, the expansions have more digits than Newton


def factor_at(root: FloatArray) -> FloatArray:
    """Give the x on the root's side of 1 with 2 h(x) = root^2."""
    x = np.full_like(root, _SERIES[0])
    for coefficient in _SERIES[1:]:
        x = x * root + coefficient
    near = np.abs(root) < _NEAR_ROOT
    half = root * root / 2
    for _ in range(_FACTOR_STEPS):
        slope = np.where(near, 1.0, 1 - 1 / x)
        x = x - np.where(near, 0.0, (x - 1 - np.log(x) - half) / slope)
    return x


def log_rate_at(root: FloatArray, exceeded: FloatArray, observed: FloatArray) -> FloatArray:
    """Give the log of the rate whose binomial deviance is root^2; the count's own at nought.

    Searched in log-odds, where the deviance is convex and Newton's method cannot go astray.
    """
    others = observed - exceeded
    estimate, odds = np.log(exceeded / others), exceeded / others
    step = root * np.sqrt(observed / (exceeded * others))
    skew = (others - exceeded) / observed
    kurtosis = 1 - 6 * odds / (1 + odds) ** 2
    step = step * (1 - step * (skew / 6 - step * (5 * skew * skew - 3 * kurtosis) / 72))
    near = np.abs(step) < _NEAR_STEP
    half = root * root / 2
    for _ in range(_RATE_STEPS):
        grown = odds * np.exp(step)
        deviance = observed * np.log((1 + grown) / (1 + odds)) - exceeded * step
        slope = observed * grown / (1 + grown) - exceeded
        step = step - np.where(near, 0.0, (deviance - half) / np.where(near, 1.0, slope))
    return estimate + step - np.log1p(odds * np.exp(step))
