"""The surface of a likelihood region, and what is asked of a tail on it: one point at a time.

Compiled, since the search for the ends of intervals looks at thousands of points, each of which
depends on the ones before. The formulas are those of `region`, `deviance_roots`, `gpd` and
`problem`, in scalars.
"""

import math

import numpy as np

from models.compiled import compiled
from models.protocols import FloatArray, IntArray
from models.tail.extremes import chebyshev
from models.tail.extremes.quantity import Kind

_NODES, _WEIGHTS = chebyshev.NODES, chebyshev.WEIGHTS
_SCALE, _LEVEL, _MEAN_BEYOND = (int(k) for k in (Kind.SCALE, Kind.LEVEL, Kind.MEAN_BEYOND))
_NODE = 1e-200  # at a node itself: all weight goes there
_LEAST = 1e-300  # nothing beside any number but nought, and itself over itself is 1
_NEAR = 1e-3

ROUNDS = 7
CLOSER = 6.0
SETTLED = 3e-4  # of the interval: a quadratic that close to its points is right to a tenth of that
ACROSS, AROUND = 17, 9
STEP_T, STEP_PHI = math.pi / (ACROSS - 1), math.pi / (AROUND - 1)

REGION = (
    "low", "high", "middle", "half", "top", "best",
    "peaks", "observed", "log_rate", "allowance", "rate_known",
)  # fmt: skip
"""Columns of a region's row."""
LOW, HIGH, MIDDLE, HALF, TOP, BEST, PEAKS, OBSERVED, LOG_RATE, ALLOWANCE, RATE_KNOWN = range(11)


@compiled
def surface_maxima(
    region: FloatArray,
    curve: FloatArray,
    row: IntArray,
    kind: IntArray,
    side: FloatArray,
    offset: FloatArray,
    excess: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Find, for each problem, the highest side x quantity on its row's surface."""
    grid = np.empty((region.shape[0], ACROSS, 2 * AROUND, 3))
    for place in range(region.shape[0]):
        _grid(region[place], curve[place], grid[place])
    best = np.empty(row.size)
    for problem in range(row.size):
        own = row[problem]
        asked = (kind[problem], side[problem], offset[problem], excess[problem])
        best[problem] = _highest(region[own], curve[own], grid[own], asked, start[problem])
    return best


@compiled
def _highest(
    region: FloatArray,
    curve: FloatArray,
    grid: FloatArray,
    asked: tuple[int, float, float, float],
    start: float,
) -> float:
    """Search the grid, then go to the top of the quadratic through nine points ever closer."""
    nine = np.empty((3, 3))
    held = asked[0] < _LEVEL or region[RATE_KNOWN] > 0
    at_t, at_phi, best = _coarse(grid, asked, held, nine)
    step_t = STEP_T / CLOSER
    step_phi = 0.0 if held else STEP_PHI / CLOSER
    for _ in range(ROUNDS):
        for i in range(3):
            across = _across(region, curve, at_t + (i - 1) * step_t)
            for j in range(3):
                point = _around(region, across, at_phi + (j - 1) * step_phi)
                nine[i, j] = _value(asked, point)
        move_t, move_phi, height, flat, largest = _summit(nine)
        at_t += move_t * step_t
        at_phi += move_phi * step_phi
        best = max(best, largest)
        span = best - start
        if math.isinf(span):
            span = 1.0
        if flat or abs(height - best) <= SETTLED * span:
            return max(best, height)
        if height > -math.inf:
            step_t /= CLOSER
            step_phi /= CLOSER
    return best


@compiled
def _coarse(
    grid: FloatArray, asked: tuple[int, float, float, float], held: bool, nine: FloatArray
) -> tuple[float, float, float]:
    """Search the grid; a side's half of the circle of phi holds the rates that help it."""
    side = asked[1]
    first = 0 if side > 0 else AROUND
    stride = AROUND - 1 if held else 1
    best, row, column = -math.inf, 0, 0
    for i in range(ACROSS):
        for j in range(0, AROUND, stride):
            found = _value(asked, _read(grid, i, first + j))
            if found > best:
                best, row, column = found, i, j
    row = min(max(row, 1), ACROSS - 2)
    if not held:
        column = min(max(column, 1), AROUND - 2)
    for i in range(3):
        for j in range(3):
            at = first + column + (0 if held else j - 1)
            near = row + i - 1
            nine[i, j] = _value(asked, _read(grid, near, at))
    move_t, move_phi, _, _, _ = _summit(nine)
    step_phi = 0.0 if held else STEP_PHI
    return (
        (row + move_t) * STEP_T,
        side * (column * STEP_PHI + move_phi * step_phi),
        best,
    )


@compiled
def _read(grid: FloatArray, i: int, j: int) -> tuple[float, float, float]:
    return grid[i, j, 0], grid[i, j, 1], grid[i, j, 2]


@compiled
def _summit(nine: FloatArray) -> tuple[float, float, float, bool, float]:
    """Give the top of the quadratic through nine points: where, how high, if flat, the largest.

    Its height is minus infinity where there is no top among them: then go to the highest point.
    """
    mid = nine[1, 1]
    slope_t, slope_phi = (nine[2, 1] - nine[0, 1]) / 2, (nine[1, 2] - nine[1, 0]) / 2
    bend_t = nine[2, 1] - 2 * mid + nine[0, 1]
    bend_phi = nine[1, 2] - 2 * mid + nine[1, 0]
    cross = (nine[2, 2] - nine[2, 0] - nine[0, 2] + nine[0, 0]) / 4
    if bend_phi == 0:  # where phi is held there is no slope in it
        bend_phi = -1.0
    determinant = bend_t * bend_phi - cross * cross
    largest, least, to_t, to_phi = -math.inf, math.inf, 0, 0
    for i in range(3):
        for j in range(3):
            least = min(least, nine[i, j])
            if nine[i, j] > largest:
                largest, to_t, to_phi = nine[i, j], i - 1, j - 1
    flat = not least < largest < math.inf
    if not (bend_t < 0 and bend_phi < 0 and determinant > 0):
        return float(to_t), float(to_phi), -math.inf, flat, largest
    t = (cross * slope_phi - bend_phi * slope_t) / determinant
    phi = (cross * slope_t - bend_t * slope_phi) / determinant
    height = -math.inf
    if abs(t) <= 1 and abs(phi) <= 1:
        height = mid + (slope_t * t + slope_phi * phi) / 2
    return min(max(t, -2.0), 2.0), min(max(phi, -2.0), 2.0), height, flat, largest


@compiled
def _grid(region: FloatArray, curve: FloatArray, grid: FloatArray) -> None:
    for i in range(ACROSS):
        across = _across(region, curve, i * STEP_T)
        for j in range(AROUND):
            for half in range(2):
                phi = j * STEP_PHI if half == 0 else -j * STEP_PHI
                at = half * AROUND + j
                point = _around(region, across, phi)
                grid[i, at, 0], grid[i, at, 1], grid[i, at, 2] = point


@compiled
def _across(region: FloatArray, curve: FloatArray, t: float) -> tuple[float, float, float]:
    """Give shape, scale and the signed root of what is left of the allowance at the angle t."""
    low, high = region[LOW], region[HIGH]
    s = (low + high) / 2 - (high - low) / 2 * math.cos(t)
    x = (s - region[MIDDLE]) / region[HALF]
    total, read = 0.0, 0.0
    for node in range(_NODES.size):
        weight = _WEIGHTS[node] / (x - _NODES[node] + _NODE)
        total += weight
        read += weight * curve[node]
    log_ratio = read / total
    scale = math.exp(log_ratio)
    shape = math.expm1(s) / region[TOP] * scale
    lost = region[BEST] + log_ratio + shape + 1
    left = region[ALLOWANCE] - 2 * region[PEAKS] * lost
    root = math.sqrt(max(left, 0.0))
    # Past either end of s the surface goes on over its far side, with no crease for a search.
    return shape, scale, root if math.sin(t) >= 0 else -root


@compiled
def _around(
    region: FloatArray, across: tuple[float, float, float], phi: float
) -> tuple[float, float, float]:
    """Give scale, shape and log rate of peaks at the angle phi."""
    shape, scale, root = across
    factor = _factor(root * math.cos(phi) / math.sqrt(region[PEAKS]))
    # A shape under -1 is outside whatever its likelihood.
    factor = max(factor, -shape)
    change = 0.0
    if not region[RATE_KNOWN]:
        change = _rate_change(root * math.sin(phi), region[PEAKS], region[OBSERVED])
    return scale / factor, shape / factor, region[LOG_RATE] + change


@compiled
def _factor(root: float) -> float:
    """Give the x on the root's side of 1 with 2 (x - 1 - log x) = root^2.

    x = 1 + r + r^2 / 3 + ... (Temme, Uniform asymptotic expansions of the incomplete gamma
    functions, Math. Comp. 1979), and one step of Newton's method: with 20 excesses the series alone
    has 4 digits, this has 8.
    """
    x = (((-1 / 270 * root + 1 / 36) * root + 1 / 3) * root + 1.0) * root + 1.0
    if abs(root) < _NEAR:
        return x
    return x - (x - 1 - math.log(x) - root * root / 2) / (1 - 1 / x)


@compiled
def _rate_change(root: float, exceeded: float, observed: float) -> float:
    others = observed - exceeded
    odds = exceeded / others
    skew = (others - exceeded) / observed
    kurtosis = 1 - 6 * odds / (1 + odds) ** 2
    cubic = (5 * skew * skew - 3 * kurtosis) / 72
    step = root * math.sqrt(observed / (exceeded * others))
    step = step * (1 - step * (skew / 6 - step * cubic))
    if abs(step) >= _NEAR:
        grown = odds * math.exp(step)
        deviance = observed * math.log((1 + grown) / (1 + odds)) - exceeded * step
        slope = observed * grown / (1 + grown) - exceeded
        step -= (deviance - root * root / 2) / slope
    return step - math.log((1 + odds * math.exp(step)) / (1 + odds))


@compiled
def _value(asked: tuple[int, float, float, float], point: tuple[float, float, float]) -> float:
    """Give side x quantity, on the scale that it is searched on; minus infinity for no number."""
    kind, side, offset, excess = asked
    scale, shape, log_rate = point
    found = shape
    if kind == _SCALE:
        found = scale
    elif kind >= _LEVEL:
        odds = log_rate + offset
        if kind == _LEVEL:
            found = scale * odds * _expm1_ratio(shape * odds)
        elif kind == _MEAN_BEYOND:
            found = -0.0
            if shape < 1:
                grown = odds + _log1p_ratio(-shape)
                found = -1 / (scale * grown * _expm1_ratio(shape * grown))
        else:
            a = excess / scale
            found = -math.inf
            if 1 + shape * a > 0:
                found = odds - a * _log1p_ratio(shape * a)
    found *= side
    return -math.inf if math.isnan(found) else found


@compiled
def _expm1_ratio(t: float) -> float:
    return (math.expm1(t) + _LEAST) / (t + _LEAST)


@compiled
def _log1p_ratio(t: float) -> float:
    return (math.log1p(t) + _LEAST) / (t + _LEAST)
