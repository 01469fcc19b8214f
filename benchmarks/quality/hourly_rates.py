"""Kinds of hourly rates, for what is said of their next day: `KINDS[name](hours, rng)`."""

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from models.protocols import FloatArray

MOVED = 470
"""Hour in which the level moves, of the kinds that have such a one."""
_DAY, _WEEK, _WORKDAYS, _NIGHT = 24, 168, 5, 7

Kind = Callable[[int, np.random.Generator], FloatArray]


def _usual(hours: int) -> FloatArray:
    return np.asarray(100 * np.exp(0.6 * np.sin(2 * np.pi * np.arange(hours) / _DAY)))


def around(errors: Callable[[int, np.random.Generator], FloatArray]) -> Kind:
    """Give rates whose logarithms lie around the usual day's with these errors."""
    return lambda hours, rng: _usual(hours) * np.exp(errors(hours, rng))


def normal(size: float) -> Kind:
    return lambda hours, rng: size * rng.normal(size=hours)


def autoregression(share: float, size: float) -> Kind:
    return lambda hours, rng: np.asarray(lfilter([size], [1, -share], rng.normal(size=hours)))


def autoregression_and_noise(hours: int, rng: np.random.Generator) -> FloatArray:
    return autoregression(0.9, 0.1)(hours, rng) + normal(0.15)(hours, rng)


def moves(factor: float, size: float) -> Kind:
    def errors(hours: int, rng: np.random.Generator) -> FloatArray:
        level = np.where(np.arange(hours) >= MOVED, np.log(factor), 0.0)
        return level + normal(size)(hours, rng)

    return around(errors)


def bursts(hours: int, rng: np.random.Generator) -> FloatArray:
    """Give one hour in a hundred in which three hours begin that bring 2.7 times as much."""
    begun = rng.random(hours) < 0.01  # noqa: PLR2004 - rare
    burst = np.convolve(begun, np.ones(3))[:hours] > 0
    return burst + normal(0.1)(hours, rng)


def rests(hours: int, rng: np.random.Generator) -> FloatArray:
    return np.where(np.arange(hours) % _DAY < _NIGHT, 0.0, around(normal(0.1))(hours, rng))


def workdays(hours: int, rng: np.random.Generator) -> FloatArray:
    weekday = np.arange(hours) % _WEEK < _WORKDAYS * _DAY
    return np.where(weekday, 1.0, 0.4) * around(normal(0.15))(hours, rng)


def gaps(hours: int, rng: np.random.Generator) -> FloatArray:
    rates = around(normal(0.1))(hours, rng)
    rates[rng.random(hours) < 0.2] = np.nan  # noqa: PLR2004 - a fifth
    return rates


KINDS: dict[str, Kind] = {
    "noise": around(normal(0.1)),
    "Student 2": around(lambda hours, rng: 0.1 * rng.standard_t(2, size=hours)),
    "skewed": lambda hours, rng: _usual(hours) * rng.gamma(2, 0.5, size=hours),
    "counts": lambda hours, rng: rng.poisson(3, size=hours).astype(np.float64),
    "rests": rests,
    "AR .9": around(autoregression(0.9, 0.1)),
    "AR .6": around(autoregression(0.6, 0.1)),
    "moves to 3": moves(3.0, 0.1),
    "moves to .4": moves(0.4, 0.2),
    "uniform": lambda hours, rng: rng.uniform(50, 150, size=hours),
    "Laplace": around(lambda hours, rng: rng.laplace(size=hours) * 0.2),
    "workdays": workdays,
    "gaps": gaps,
    "bursts": around(bursts),
    "AR -.6": around(autoregression(-0.6, 0.1)),
    "AR .98": around(autoregression(0.98, 0.05)),
    "AR and noise": around(autoregression_and_noise),
    "walk": lambda hours, rng: 100 * np.exp(np.cumsum(0.05 * rng.normal(size=hours))),
    "trend": around(lambda hours, rng: 0.002 * np.arange(hours) + normal(0.1)(hours, rng)),
    "moves to .5": moves(0.5, 0.1),
    "moves to 1.5": moves(1.5, 0.1),
}
