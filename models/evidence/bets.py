r"""Wealth of a bank of bets against a null hypothesis, as a function of counts.

A bet against "the mean of X is at most p" pays (q/p)^X ((1-q)/(1-p))^(1-X) with q > p: under the
hypothesis its expected value is at most 1, so the wealth of one who bets on every request is a
supermartingale, and it ever reaches 1/alpha with a probability of at most alpha (Ville 1939). A
bank is a mixture of bets with fixed weights: a supermartingale too. Its wealth depends on nothing
but counts, so that neither the order of the requests nor the batches in which they come matter.

X may be a share between 0 and 1: a power of it is at most the straight line between its ends, so
the wealth is then smaller than a bet's own, never larger.

Bets of two arms multiply (each request is of one arm). Those of a pair may not, because its two
answers depend on each other; there a bet is linear, 1 + a(Y - p) + b(p - X).

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (2024);
Ramdas, Grunwald, Vovk and Shafer, Game-theoretic statistics and safe anytime-valid inference.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Bets by how far they move the odds, as a logarithm. Those of neighbours differ by a factor of two:
# the best one for any truth between them loses at most a tenth of the growth.
_MOVES: Floats = 0.0125 * np.exp2(np.arange(9, dtype=np.float64))
# On one arm alone, for thresholds at which the other arm's bets are hopeless.
_ALONE = np.array([0.05, 0.2, 0.8, 3.2])
_BOTH_ARMS = 0.8  # of the bank's weight

# What is bet on a pair's lower answer, on its higher one, and the bet's part of the bank. Where the
# evidence is least both arms are about as far from their shares: so most bets are about as much on
# either. Bets on one answer alone are for values far from the quantile: there they soon win much.
_PAIR_BETS = (
    *((0.05, 0.05, 0.03), (0.1, 0.1, 0.07), (0.2, 0.2, 0.25)),
    *((0.35, 0.35, 0.12), (0.6, 0.6, 0.06), (0.9, 0.9, 0.07)),
    *((0.1, 0.05, 0.03), (0.2, 0.1, 0.1), (0.35, 0.175, 0.12), (0.6, 0.3, 0.03), (0.9, 0.45, 0.02)),
    *((0.1, 0.2, 0.03), (0.2, 0.4, 0.03), (0.5, 1.0, 0.02)),
    *((0.25, 0.0, 0.01), (0.95, 0.0, 0.01), (0.0, 0.3, 0.01), (0.0, 1.5, 0.01)),
)
_ALL = 0.995  # of what one has: who bets more may be ruined by one pair
# Parts of the largest bet that a difference allows.
_DIFFERENCES = (0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Bank:
    """Logarithms of what each bet pays for each kind of request, and of the bets' weights.

    `pays` is (..., bets, kinds); axes before these are of hypotheses that are tested side by side.
    """

    pays: Floats
    log_weights: Floats

    @cached_property
    def _transposed(self) -> Floats:
        return np.ascontiguousarray(self.pays.T)

    def log_wealth(self, counts: Floats) -> Floats:
        """Give the logarithm of the wealth after so many requests of each kind.

        Counts of many looks (looks, kinds) against one hypothesis, or one count (kinds) against
        many.
        """
        each = self.pays @ counts if counts.ndim == 1 else counts @ self._transposed
        each = each + self.log_weights
        highest: Floats = each.max(axis=-1)
        wealth: Floats = highest + np.log(np.exp(each - highest[..., None]).sum(axis=-1))
        return wealth


def two_arms(low: ArrayLike, high: ArrayLike, high_share: float) -> Bank:
    """Bet against "the lower arm's mean is at least `low`, and the higher arm's at most `high`".

    Kinds: the lower arm's hits and misses, then the higher arm's. The arm with fewer requests, of
    which less is known, is moved farther.
    """
    low_moves = np.concatenate([-_MOVES * high_share, -_ALONE, np.zeros(_ALONE.size)])
    high_moves = np.concatenate([_MOVES * (1 - high_share), np.zeros(_ALONE.size), _ALONE])
    pays = np.concatenate([_pays(low, low_moves), _pays(high, high_moves)], axis=-1)
    alone = np.full(2 * _ALONE.size, (1 - _BOTH_ARMS) / (2 * _ALONE.size))
    weights = np.concatenate([np.full(_MOVES.size, _BOTH_ARMS / _MOVES.size), alone])
    return Bank(pays, np.log(weights))


def one_arm(mean: ArrayLike, direction: int) -> Bank:
    """Bet against "the mean is at most this" (direction 1), or "at least this" (-1).

    Kinds: hits, misses.
    """
    return Bank(_pays(mean, direction * _MOVES), np.full(_MOVES.size, -np.log(_MOVES.size)))


def pairs_of_hits(mean: float) -> Bank:
    """Bet against "X's mean is at least this, and Y's is at most this", X and Y of one pair.

    Kinds of pairs: both hit, X alone, Y alone, neither.
    """
    x = np.array([1.0, 1.0, 0.0, 0.0])
    y = np.array([1.0, 0.0, 1.0, 0.0])
    bets = [
        (1 + high * (y - mean) + low * (mean - x), weight)
        for low, high, weight in _PAIR_BETS
        if high * mean + low * (1 - mean) < _ALL
    ]
    weights = np.array([weight for _, weight in bets])
    return Bank(np.log(np.array([pays for pays, _ in bets])), np.log(weights / weights.sum()))


def differences(mean: float, direction: int) -> Bank:
    """Bet against "the mean difference is at most this" (direction 1), or "at least this" (-1).

    Kinds of pairs: difference 1, difference -1, none.
    """
    payoff = direction * (np.array([1.0, -1.0, 0.0]) - mean)
    bets = 1 + np.array(_DIFFERENCES)[:, None] / -payoff.min() * payoff
    return Bank(np.log(bets), np.full(len(bets), -np.log(len(bets))))


def _pays(mean: ArrayLike, moves: Floats) -> Floats:
    """Give what a hit and a miss pay, (..., bets, 2); nothing can be bet against a certainty."""
    p = np.asarray(mean, dtype=np.float64)[..., None]
    certain = (p <= 0) | (p >= 1)
    safe = np.where(certain, 0.5, p)
    # The odds are moved by e^move: q = p e^move / (1 - p + p e^move).
    normal = -np.log1p(safe * np.expm1(moves))
    miss = np.where(certain, 0.0, normal)
    hit = np.where(certain, 0.0, normal + moves)
    return np.stack([hit, miss], axis=-1)


def observed(*counts: Any) -> Floats:
    """Put counts side by side, as the last axis."""
    return np.stack(np.broadcast_arrays(*counts), axis=-1).astype(np.float64)
