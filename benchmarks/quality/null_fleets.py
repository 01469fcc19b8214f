"""Fleets of one observation a minute in which nothing ever happens, of many kinds.

A fleet is eight members of three metrics each; what moves all of them at once is no member's fault.
"""

import numpy as np

from benchmarks.quality.null_streams import Draw, day_of, workday_of
from models.protocols import FloatArray

MEMBERS, METRICS = 8, 3
DIMENSIONS = MEMBERS * METRICS


def white_noise(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    """Give (steps, fleets, dimensions), as all of these do."""
    return rng.standard_normal((steps, fleets, DIMENSIONS))


def heavy_tails(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    return np.asarray(rng.standard_t(3, (steps, fleets, DIMENSIONS)))


def common_load(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    load = rng.standard_normal((steps, fleets, 1))
    for i in range(1, steps):
        load[i] = 0.95 * load[i - 1] + 0.31 * load[i]
    return 0.5 * white_noise(steps, fleets, rng) + 2 * load


def loud_days(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    """Give a spread five times as large by day as by night."""
    return white_noise(steps, fleets, rng) * (1.5 + day_of(steps, fleets, rng)[:, :, None])


def busy_days(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    """Give counts twenty times as high by day as by night."""
    mean = np.exp(2 + 1.5 * day_of(steps, fleets, rng)[:, :, None])
    return rng.poisson(mean, (steps, fleets, DIMENSIONS)).astype(np.float64)


def error_rates(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    """Give one error in a hundred requests, of which there are few by night."""
    mean = np.exp(3 + 1.5 * day_of(steps, fleets, rng)[:, :, None])
    requests = rng.poisson(mean, (steps, fleets, DIMENSIONS))
    errors = rng.binomial(requests, 0.01)
    return np.asarray(errors / np.maximum(requests, 1))


def quiet_weekends(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    spread = np.where(workday_of(steps, fleets, rng), 1.0, 0.3)
    return white_noise(steps, fleets, rng) * spread[:, :, None]


def lower_weekends(steps: int, fleets: int, rng: np.random.Generator) -> FloatArray:
    level = np.where(workday_of(steps, fleets, rng), 14.0, 0.0)
    return white_noise(steps, fleets, rng) + level[:, :, None]


HELD: dict[str, Draw] = {
    "white noise": white_noise,
    "heavy tails": heavy_tails,
    "common load": common_load,
    "loud days": loud_days,
    "busy days": busy_days,
    "error rates": error_rates,
}
WEEKLY: dict[str, Draw] = {"quiet weekends": quiet_weekends, "lower weekends": lower_weekends}
