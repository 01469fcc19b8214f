"""From a deviance back to the parameter that has it.

Two parts of the likelihood of a tail have closed deviances: the shape at a given theta, 2 k h(x)
with h(x) = x - 1 - log x, and the rate of exceedances, which is binomial. The signed root of the
deviance runs evenly from one end of an interval to the other, so it is what one searches over.
"""

import numpy as np

from models.protocols import FloatArray

_STEPS = 3
_NEAR = 1e-4  # the expansions at nought have all digits there, and Newton has nothing to divide by


def factor_at(root: FloatArray) -> FloatArray:
    """Give the x on the root's side of 1 with 2 h(x) = root^2."""
    near = np.abs(root) < _NEAR
    start = _log_factor(root)
    u, target = np.where(near, 1.0, start), root * root / 2
    for _ in range(_STEPS):
        grown = np.expm1(u)
        u = u - (grown - u - target) / grown
    return np.exp(np.where(near, start, u))


def log_rate_at(root: FloatArray, exceeded: FloatArray, observed: FloatArray) -> FloatArray:
    """Give the log of the rate whose binomial deviance is root^2; the count's own at nought.

    Searched in log-odds, where the deviance is convex and Newton's method cannot go astray.
    """
    others = observed - exceeded
    estimate = np.log(exceeded / others)
    step = root * np.sqrt(observed / (exceeded * others))
    near = np.abs(root) < _NEAR
    start = estimate + step * (1 - step * (others - exceeded) / (6 * observed))
    odds, target = np.where(near, estimate + 1, start), root * root / 2
    for _ in range(_STEPS + 1):
        rate = 1 / (1 + np.exp(-odds))
        deviance = observed * _log_change(odds, estimate) - exceeded * (odds - estimate)
        odds = odds - (deviance - target) / (observed * rate - exceeded)
    return -np.log1p(np.exp(-np.where(near, start, odds)))


def _log_change(odds: FloatArray, estimate: FloatArray) -> FloatArray:
    """log(1 + exp(odds)) less its value at the estimate."""
    return np.log1p(np.exp(odds)) - np.log1p(np.exp(estimate))


def _log_factor(root: FloatArray) -> FloatArray:
    """Expand log x in the root around nought."""
    return root * (1 - root * (1 / 6 - root / 36))
