"""Simulated requests of a service that is answered by two arms.

What both arms would have answered to each request is drawn, so that the same requests can be
played as a canary, which sees one of the two, and as a paired shadow, which sees both.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import log_ndtr

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PER_MINUTE = 200
TYPICAL_MS = 20.0
# Of the spread of a request's latency this part is the request's own: its size, its entity.
OWN_PART = 0.9
OWN_VIOLATIONS = 0.1  # the part of violations that only one arm's answer has
BURST_SHARE = 0.01  # of the minutes of a key


@dataclass(frozen=True)
class Regression:
    """By how much the candidate is worse; as it stands, not at all."""

    latency: float = 1.0  # times
    violations: float = 0.0  # points
    width: float = 1.0  # times


@dataclass(frozen=True)
class Law:
    """How requests behave under the incumbent."""

    name: str
    latency: Callable[[Generator, Ints, Ints], tuple[Floats, Floats]]
    keys: int = 100_000
    violations: float = 0.005
    # How far keys differ for good in their widths and violations, as a logarithm.
    unlike: float = 0.0
    # So many requests of a key follow each other.
    in_a_row: int = 1


@dataclass(frozen=True)
class Traffic:
    """Requests in the order of time, and both arms' values: [0] the incumbent's, [1] the other."""

    key: Ints
    minute: Ints
    candidate: Bools
    latency: tuple[Floats, Floats]
    violations: tuple[Floats, Floats]
    width: tuple[Floats, Floats]
    names: tuple[str, ...] = field(default=("latency", "violations", "width"))


def play(law: Law, regression: Regression, requests: int, share: float, rng: Generator) -> Traffic:
    minute = np.arange(requests) // PER_MINUTE
    key = np.repeat(rng.integers(0, law.keys, -(-requests // law.in_a_row)), law.in_a_row)[
        :requests
    ]
    slow, fast = law.latency(rng, key, minute)
    levels = law.unlike * rng.standard_normal((2, law.keys))[:, key] if law.unlike else [0.0, 0.0]
    rate = law.violations * np.exp(levels[0] - law.unlike**2 / 2)
    kept = rng.random(requests) < rate
    one = rng.random(requests) < OWN_VIOLATIONS
    before = kept & ~one | (rng.random(requests) < OWN_VIOLATIONS * law.violations)
    after = kept & ~one | (rng.random(requests) < OWN_VIOLATIONS * law.violations)
    after |= rng.random(requests) < regression.violations / (1 - law.violations)
    base = levels[1] + 0.6 * rng.standard_normal(requests)
    widths = [np.exp(base + 0.1 * rng.standard_normal(requests)) for _ in range(2)]
    return Traffic(
        key=key,
        minute=minute,
        candidate=(rng.random(law.keys) < share)[key],
        latency=(slow, fast * regression.latency),
        violations=(before.astype(float), after.astype(float)),
        width=(widths[0], widths[1] * regression.width),
    )


def normal_pair(rng: Generator, size: int) -> tuple[Floats, Floats]:
    """Draw two standard normal values for each request, which correlate by OWN_PART."""
    shared = np.sqrt(OWN_PART) * rng.standard_normal(size)
    rest = np.sqrt(1 - OWN_PART)
    one, other = (shared + rest * rng.standard_normal(size) for _ in range(2))
    return one, other


@dataclass(frozen=True)
class Lognormal:
    """What latencies look like where many factors multiply."""

    sigma: float

    def __call__(self, rng: Generator, key: Ints, minute: Ints) -> tuple[Floats, Floats]:
        del minute
        one, other = normal_pair(rng, key.size)
        return TYPICAL_MS * np.exp(self.sigma * one), TYPICAL_MS * np.exp(self.sigma * other)


@dataclass(frozen=True)
class Pareto:
    """A tail that falls with this power: with 2 or less there is no variance."""

    exponent: float

    def __call__(self, rng: Generator, key: Ints, minute: Ints) -> tuple[Floats, Floats]:
        del minute
        one, other = (
            TYPICAL_MS * np.exp(-log_ndtr(-normal) / self.exponent)
            for normal in normal_pair(rng, key.size)
        )
        return one, other


def tides(rng: Generator, key: Ints, minute: Ints) -> tuple[Floats, Floats]:
    """Let the whole platform become slower and faster, an autocorrelated level by the minute."""
    level = _walk(rng, int(minute[-1]) + 1)[minute]
    slow, fast = Lognormal(0.5)(rng, key, minute)
    return slow * level, fast * level


def bursts(rng: Generator, key: Ints, minute: Ints) -> tuple[Floats, Floats]:
    """Let one key be slow for a minute, all of its requests: one cause, many requests."""
    minutes = int(minute[-1]) + 1
    slow_minutes = rng.random((int(key.max()) + 1, minutes)) < BURST_SHARE
    factor = np.where(slow_minutes[key, minute], 4.0, 1.0)
    slow, fast = Lognormal(0.3)(rng, key, minute)
    return slow * factor, fast * factor


def unlike_keys(rng: Generator, key: Ints, minute: Ints) -> tuple[Floats, Floats]:
    """Let each key have a latency of its own for good."""
    factor = np.exp(0.4 * rng.standard_normal(int(key.max()) + 1))[key]
    slow, fast = Lognormal(0.3)(rng, key, minute)
    return slow * factor, fast * factor


def days(rng: Generator, key: Ints, minute: Ints) -> tuple[Floats, Floats]:
    """Let the level go up and down with the day, and drift away from it."""
    past = minute / (int(minute[-1]) + 1)
    level = np.exp(0.4 * np.sin(2 * np.pi * past) + 0.4 * past)
    slow, fast = Lognormal(0.5)(rng, key, minute)
    return slow * level, fast * level


def wandering_keys(rng: Generator, key: Ints, minute: Ints) -> tuple[Floats, Floats]:
    """Let each key have a level that wanders: what it was a minute ago it nearly is now."""
    minutes = int(minute[-1]) + 1
    levels = np.stack([_walk(rng, minutes, 0.98) for _ in range(int(key.max()) + 1)])
    slow, fast = Lognormal(0.3)(rng, key, minute)
    return slow * levels[key, minute] ** 2, fast * levels[key, minute] ** 2


def _walk(rng: Generator, minutes: int, persistence: float = 0.95) -> Floats:
    level = np.empty(minutes)
    level[0] = rng.standard_normal()
    steps = np.sqrt(1 - persistence**2) * rng.standard_normal(minutes)
    for at in range(1, minutes):
        level[at] = persistence * level[at - 1] + steps[at]
    spread: Floats = np.exp(0.3 * level)
    return spread
