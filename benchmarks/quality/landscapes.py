"""Functions whose optimum is known, for optimisers to find; nothing but Python is imported here.

From the virtual library of Surjanovic and Bingham. Their domains and optima stand in the data
folder's functions.json, which the bench holds these against.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

Point = Sequence[float]

_ALPHA = (1.0, 1.2, 3.0, 3.2)
_A6 = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
_P6 = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
_A3 = ((3, 10, 30), (0.1, 10, 35), (3, 10, 30), (0.1, 10, 35))
_P3 = (
    (0.3689, 0.1170, 0.2673),
    (0.4699, 0.4387, 0.7470),
    (0.1091, 0.8732, 0.5547),
    (0.0381, 0.5743, 0.8828),
)


class Landscape(NamedTuple):
    value: Callable[[Point], float]
    domain: tuple[tuple[float, float], ...]
    lowest: float


def branin(x: Point) -> float:
    a, b = x
    bowl = b - 5.1 * a * a / (4 * math.pi**2) + 5 * a / math.pi - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def hartmann(a: Sequence[Point], p: Sequence[Point], x: Point) -> float:
    total = 0.0
    for alpha, scale, centre in zip(_ALPHA, a, p, strict=True):
        inner = sum(s * (v - c) ** 2 for s, v, c in zip(scale, x, centre, strict=True))
        total -= alpha * math.exp(-inner)
    return total


def ackley(x: Point) -> float:
    spread = math.sqrt(sum(v * v for v in x) / len(x))
    waves = sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return -20 * math.exp(-0.2 * spread) - math.exp(waves) + 20 + math.e


def rosenbrock(x: Point) -> float:
    return sum(100 * (b - a * a) ** 2 + (a - 1) ** 2 for a, b in pairwise(x))


def levy(x: Point) -> float:
    w = [1 + (v - 1) / 4 for v in x]
    middle = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return math.sin(math.pi * w[0]) ** 2 + middle + last


def styblinski_tang(x: Point) -> float:
    return sum(v**4 - 16 * v**2 + 5 * v for v in x) / 2


def goldstein_price(x: Point) -> float:
    a, b = x
    first = 19 - 14 * a + 3 * a * a - 14 * b + 6 * a * b + 3 * b * b
    second = 18 - 32 * a + 12 * a * a + 48 * b - 36 * a * b + 27 * b * b
    return (1 + (a + b + 1) ** 2 * first) * (30 + (2 * a - 3 * b) ** 2 * second)


def six_hump_camel(x: Point) -> float:
    a, b = x
    return (4 - 2.1 * a * a + a**4 / 3) * a * a + a * b + (-4 + 4 * b * b) * b * b


LANDSCAPES = {
    "branin": Landscape(branin, ((-5, 10), (0, 15)), 0.397887),
    "hartmann6": Landscape(lambda x: hartmann(_A6, _P6, x), ((0, 1),) * 6, -3.322368),
    "hartmann3": Landscape(lambda x: hartmann(_A3, _P3, x), ((0, 1),) * 3, -3.86278),
    "ackley": Landscape(ackley, ((-32.768, 32.768),) * 2, 0.0),
    "rosenbrock": Landscape(rosenbrock, ((-5, 10),) * 2, 0.0),
    "levy": Landscape(levy, ((-10, 10),) * 2, 0.0),
    "styblinski_tang": Landscape(styblinski_tang, ((-5, 5),) * 2, -78.33198),
    "goldstein_price": Landscape(goldstein_price, ((-2, 2),) * 2, 3.0),
    "six_hump_camel": Landscape(six_hump_camel, ((-3, 3), (-2, 2)), -1.0316),
}


def calls_to_reach(values: Sequence[float], lowest: float, share: float) -> int:
    """Count the calls until one is within a share of the optimum; all and one more if none is."""
    wanted = lowest + share * abs(lowest)
    return next((call for call, value in enumerate(values, 1) if value <= wanted), len(values) + 1)
