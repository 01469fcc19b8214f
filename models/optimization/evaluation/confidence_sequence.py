"""Bounds on a mean that hold at all times at once, so that one may look whenever one likes.

A bet against the mean (Waudby-Smith and Ramdas, Estimating means of bounded random variables by
betting, JRSS B 2024). For scores u_t with E[u_t | past] = mu_t that are never below `lowest`, a
guess g_t made from the past and a stake s > 0 with s (u_t - g_t) > -1,

    prod_t (1 + s (u_t - g_t)) exp(-s (mu_t - g_t))

is a nonnegative supermartingale from 1, since 1 + x <= e^x, and so is an average over stakes.
Ville's inequality: with probability 1 - risk it never reaches 1 / risk; solved for the mean of
mu_1..mu_t, that is a lower bound. The mean may drift: the bound is on its average so far. The
scores need no upper bound, so importance weights may be as large as they like (Waudby-Smith, Wu,
Ramdas, Karampatziakis and Mineiro, Anytime-valid off-policy inference for contextual bandits,
ACM/IMS Journal of Data Science 2024). Each stake may have scores of its own, if their means agree.
"""

import math
from typing import Protocol

import numpy as np

from models.protocols import FloatArray

STAKES = 3.0 ** np.arange(-11, 4)
"""From one that suits a spread of 100 over a million rows to one for a spread of .01 over ten."""
_MOST_LOST = 0.75  # of the capital, on one score
_STEPS = 80


class Scores(Protocol):
    """Scores whose mean is the same at any cut, and which are never below -(cut + depth)."""

    @property
    def depth(self) -> float: ...

    def at(self, cut: float) -> FloatArray: ...


def lower_bound(scores: Scores, risk: float, guess: float = 0.5) -> float:
    """Bound the scores' mean from below."""
    wealth = log_wealth(scores, guess)
    return _solved(wealth[:, -1], wealth.shape[1], risk)


def log_wealth(scores: Scores, guess: float = 0.5) -> FloatArray:
    """Log capital of each stake after each score, were the mean 0: (stakes, scores)."""
    return np.stack([_log_wealth(scores, stake, guess) for stake in STAKES.tolist()])


def _log_wealth(scores: Scores, stake: float, guess: float) -> FloatArray:
    bearable = _MOST_LOST / stake
    cut = max(bearable - scores.depth - 1, 0.0)  # so that a guess of up to 1 is within bounds
    values = scores.at(cut)
    count = np.arange(1, values.size + 1)
    running = (guess + np.concatenate([[0.0], np.cumsum(values)[:-1]])) / count
    guesses = np.minimum(running, bearable - cut - scores.depth)
    wealth: FloatArray = np.cumsum(np.log1p(stake * (values - guesses)) + stake * guesses)
    return wealth


def _solved(wealth: FloatArray, count: int, risk: float) -> float:
    """Find the mean at which the capital reaches 1 / risk, from below."""
    slopes, wanted = STAKES * count, -math.log(risk)
    high = float(((wealth - wanted) / slopes).max())  # one stake alone, at all of the capital
    low = float(((wealth - wanted - math.log(STAKES.size)) / slopes).max())
    for _ in range(_STEPS):
        middle = (low + high) / 2
        capital = float(np.logaddexp.reduce(wealth - slopes * middle)) - math.log(STAKES.size)
        low, high = (middle, high) if capital >= wanted else (low, middle)
    return low
