"""Streams of one observation a minute in which nothing ever happens, of many kinds."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.protocols import FloatArray

MINUTES_A_DAY = 1_440
WORKDAYS, WEEK = 5, 7

Draw = Callable[[int, int, np.random.Generator], FloatArray]


def white_noise(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.standard_normal((steps, streams))


def heavy_tails(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return np.asarray(rng.standard_t(3, (steps, streams)) / math.sqrt(3))


def autoregression(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal((steps, streams))
    for i in range(1, steps):
        noise[i] = 0.8 * noise[i - 1] + 0.6 * noise[i]
    return noise


def daily_season(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.standard_normal((steps, streams)) + 3 * day_of(steps, streams, rng)


def lognormal(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return np.exp(rng.standard_normal((steps, streams)))


def rare_counts(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.poisson(0.05, (steps, streams)).astype(np.float64)


def few_levels(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return np.round(rng.normal(0, 0.6, (steps, streams)))


def bursts(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give zeros, and once in a hundred minutes something else."""
    size = rng.exponential(5, (steps, streams))
    return np.where(rng.random((steps, streams)) < 0.99, 0.0, size)  # noqa: PLR2004 - as said


def loud_days(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give a spread five times as large by day as by night."""
    return rng.standard_normal((steps, streams)) * (1.5 + day_of(steps, streams, rng))


def busy_days(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give counts twenty times as high by day as by night."""
    return rng.poisson(np.exp(2 + 1.5 * day_of(steps, streams, rng))).astype(np.float64)


def volatile(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """GARCH(1, 1) with the persistence of daily returns."""
    noise, variance = rng.standard_normal((steps, streams)), np.ones(streams)
    for i in range(steps):
        noise[i] *= np.sqrt(variance)
        variance = 0.02 + 0.08 * noise[i] ** 2 + 0.9 * variance
    return noise


def quiet_weekends(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give a spread of .3 at weekends."""
    spread = np.where(workday_of(steps, streams, rng), 1.0, 0.3)
    return rng.standard_normal((steps, streams)) * spread


def lower_weekends(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give a level fourteen sds lower at weekends."""
    level = np.where(workday_of(steps, streams, rng), 14.0, 0.0)
    return rng.standard_normal((steps, streams)) + level


def workday_seasons(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give a season of the day, ten sds high, on workdays, and its lower level at weekends."""
    season = np.sin(2 * math.pi * np.arange(steps)[:, None] / MINUTES_A_DAY)
    level = np.where(workday_of(steps, streams, rng), 5 * season, -3.0)
    return rng.standard_normal((steps, streams)) + level


def workday_of(steps: int, streams: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Tell the workdays; each stream begins on another day of the week."""
    days = np.arange(steps)[:, None] // MINUTES_A_DAY + rng.integers(0, WEEK, streams)
    return np.asarray(days % WEEK < WORKDAYS)


def day_of(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give the sine of the hour, each stream's day beginning at another one."""
    days = np.arange(steps)[:, None] / MINUTES_A_DAY + rng.random(streams)
    return np.asarray(np.sin(2 * math.pi * days))


HELD: dict[str, Draw] = {
    "white noise": white_noise,
    "heavy tails": heavy_tails,
    "AR(.8)": autoregression,
    "daily season": daily_season,
    "lognormal": lognormal,
    "rare counts": rare_counts,
    "few levels": few_levels,
    "bursts": bursts,
    "loud days": loud_days,
}
"""Kinds on which the budget is to hold."""
TOLD: dict[str, Draw] = {"busy days": busy_days, "volatile": volatile}
"""Kinds on which what comes has no like in what a young stream has seen: their rate is told."""
WEEKLY: dict[str, Draw] = {
    "quiet weekends": quiet_weekends,
    "lower weekends": lower_weekends,
    "workday seasons": workday_seasons,
}
"""Kinds that follow the week: what a first week brings is told as news, and then no more."""
