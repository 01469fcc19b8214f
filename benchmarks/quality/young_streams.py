"""Kinds of streams in which nothing changes, for what is said of their first values."""

import math

import numpy as np

from benchmarks.quality import null_streams
from models.protocols import FloatArray

CALM = 6  # values before a constant stream begins to move


def exponential(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.exponential(1, (steps, streams))


def cauchy(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.standard_cauchy((steps, streams))


def half_zeros(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.poisson(0.5, (steps, streams)).astype(np.float64)


def counts(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.poisson(20, (steps, streams)).astype(np.float64)


def correlated_counts(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return np.round(3 * null_streams.autoregression(steps, streams, rng))


def moving_average(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal((steps + 3, streams))
    return noise[3:] + noise[2:-1] + noise[1:-2] + noise[:-3]


def random_walk(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return np.cumsum(rng.standard_normal((steps, streams)), axis=0)


def sinusoid(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give waves of 6 to 40 values and three units, with half a unit of noise."""
    turns = np.arange(steps)[:, None] / rng.uniform(6, 40, streams) + rng.random(streams)
    noise = 0.5 * rng.standard_normal((steps, streams))
    return np.asarray(3 * np.sin(2 * math.pi * turns) + noise)


def trend(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return 0.5 * np.arange(steps)[:, None] + rng.standard_normal((steps, streams))


def constant_then_noise(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    values = rng.standard_normal((steps, streams))
    values[:CALM] = 0.0
    return values


def gamma(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.gamma(0.3, 1, (steps, streams))


def latencies(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give milliseconds, a few of which are ten times as long."""
    usual = 20 * np.exp(0.3 * rng.standard_normal((steps, streams)))
    slow = rng.random((steps, streams)) < 0.05  # noqa: PLR2004 - a few
    return np.where(slow, 10 * usual, usual)


def coins(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return rng.integers(0, 2, (steps, streams)).astype(np.float64)


def alternating(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give an autoregression of -.6."""
    values = rng.standard_normal((steps, streams))
    for i in range(1, steps):
        values[i] = 0.8 * values[i] - 0.6 * values[i - 1]
    return values


def correlated_tails(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    """Give an autoregression of .7 with shocks of three degrees of freedom."""
    values = rng.standard_t(3, (steps, streams))
    for i in range(1, steps):
        values[i] += 0.7 * values[i - 1]
    return values


def steep_trend(steps: int, streams: int, rng: np.random.Generator) -> FloatArray:
    return -2.0 * np.arange(steps)[:, None] + rng.standard_normal((steps, streams))
