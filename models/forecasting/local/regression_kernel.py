"""A ridge regression on a series' own lags, compiled: fitted at several origins in one pass."""

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.protocols import FloatArray, IntArray

# Of the mean of the diagonal: what keeps lags that say the same from cancelling each other.
_PENALTY = 1e-5


@compiled
def _solved(gram: FloatArray, target: FloatArray) -> FloatArray:  # noqa: C901 - one loop, compiled: a call would copy the state
    """Solve the normal equations by Cholesky; the last column is the constant's, unpenalised.

    The sums are taken in one order, so that the bits do not hang on a library's threads.
    """
    size = len(target)
    mean = 0.0
    for row in range(size - 1):
        mean += gram[row, row]
    mean /= max(size - 1, 1)
    root = np.zeros((size, size))
    for row in range(size):
        for column in range(row + 1):
            total = gram[row, column]
            if row == column:
                total += _PENALTY * mean + 1e-12 if row < size - 1 else 1e-12
            for each in range(column):
                total -= root[row, each] * root[column, each]
            if row == column:
                root[row, row] = np.sqrt(max(total, 1e-12))
            else:
                root[row, column] = total / root[column, column]
    found = np.zeros(size)
    for row in range(size):
        total = target[row]
        for each in range(row):
            total -= root[row, each] * found[each]
        found[row] = total / root[row, row]
    for row in range(size - 1, -1, -1):
        total = found[row]
        for each in range(row + 1, size):
            total -= root[each, row] * found[each]
        found[row] = total / root[row, row]
    return found


@compiled
def regress(  # noqa: C901 - one loop, compiled: a call would copy the state
    values: FloatArray,
    full: FloatArray,
    lags: npt.NDArray[np.int64],
    refits: npt.NDArray[np.int64],
    origins: IntArray,
    bounds: tuple[float, float],
    forecasts: FloatArray,
) -> None:
    """Fill (origins, horizon); NaN before the first of the `refits`, which name values that rise.

    At each refit the weights are found from all values before it, and hold until the next. `full`
    are the values with their gaps filled, to regress on; a gap is nothing to be learned from.
    """
    horizon, longest, size = forecasts.shape[1], lags.max(), len(lags) + 1
    gram, target, row = np.zeros((size, size)), np.zeros(size), np.ones(size)
    weights, walk = np.zeros(size), np.empty(longest + horizon)
    place, refit = 0, 0
    for at in range(len(values) + 1):
        if refit < len(refits) and refits[refit] == at:
            weights = _solved(gram, target)
            refit += 1
        while place < len(origins) and origins[place] == at:
            if refit == 0:
                forecasts[place, :] = np.nan
            else:
                walk[:longest] = full[at - longest : at]
                for ahead in range(horizon):
                    total = weights[size - 1]
                    for lag in range(size - 1):
                        total += weights[lag] * walk[longest + ahead - lags[lag]]
                    total = min(max(total, bounds[0]), bounds[1])
                    walk[longest + ahead] = total
                    forecasts[place, ahead] = total
            place += 1
        if at < longest or at == len(values) or np.isnan(values[at]):
            continue
        for lag in range(size - 1):
            row[lag] = full[at - lags[lag]]
        for first in range(size):
            target[first] += row[first] * values[at]
            for second in range(first + 1):
                gram[first, second] += row[first] * row[second]
