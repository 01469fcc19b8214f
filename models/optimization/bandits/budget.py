"""A budget for exploration: at most x % worse than the baseline over any window.

Wu, Shariff, Lattimore and Szepesvari, Conservative Bandits, ICML 2016, and Kazerouni et al., NIPS
2017: play the baseline until it has earned what another arm could lose. Here the account is a
token bucket, because theirs bounds the loss since the start only, and a long good run could then
be lost in one bad hour. The balance starts at 0 and never exceeds `reserve`; the baseline's reward
pays in `share` of itself; playing arm a costs at least what it loses against the baseline, and is
not open while that exceeds the balance.

Guarantee. Whatever is spent between two moments was in the account at the first or paid in since:

    loss over any window <= share * baseline's reward over the window + reserve,
    loss since the start <= share * baseline's reward since the start,

where loss is the sum of mu_baseline(x) - mu_a(x) over the decisions made, in whole ranges of the
reward. A reserve of 1 is a single decision's worth, the least that lets any exploration happen.

`worst_case` charges 1 for each decision off the baseline, and counts as the baseline's reward only
what its decisions were reported to have earned. It takes nothing for granted, whatever the world
does; reports that come late pay in late. `confidence` charges the upper bound of the baseline less
the lower bound of the arm, and pays in the baseline's lower bound at every decision: so an arm
that is shown to be good becomes free. It holds with probability 1 - risk, under the assumptions
of confidence_bounds.py.
"""

import numpy as np

from models.optimization.bandits.policies import draw_arms
from models.protocols import FloatArray, IntArray


def worst_prices(rows: int, arms: int, baseline: int) -> FloatArray:
    """Charge a whole reward for any arm but the baseline."""
    prices = np.ones((rows, arms))
    prices[:, baseline] = 0.0
    return prices


def bounded_prices(lower: FloatArray, upper: FloatArray, baseline: int) -> FloatArray:
    """Charge what each arm may lose at most, given bounds on every arm's mean."""
    highest = np.minimum(upper[:, [baseline]], 1.0)
    prices: FloatArray = np.clip(highest - np.maximum(lower, 0.0), 0.0, 1.0)
    prices[:, baseline] = 0.0
    return prices


def paid_in(balance: FloatArray, amount: FloatArray, reserve: float) -> FloatArray:
    paid: FloatArray = np.minimum(balance + amount, reserve)
    return paid


def affordable(
    probabilities: FloatArray, prices: FloatArray, balance: FloatArray, baseline: int
) -> FloatArray:
    """Give the baseline the probability of every arm that costs more than the row's balance."""
    allowed = np.where(prices <= balance[:, None], probabilities, 0.0)
    allowed[:, baseline] = 0.0
    allowed[:, baseline] = 1.0 - np.add.accumulate(allowed, axis=1)[:, -1]
    return allowed


def spend_in_turn(
    probabilities: FloatArray,
    prices: FloatArray,
    credits_: FloatArray,
    draws: FloatArray,
    balance: float,
    reserve: float,
    baseline: int,
) -> tuple[FloatArray, IntArray]:
    """Draw the rows' arms one after the other, each on what those before it have left."""
    held, arms = probabilities.copy(), np.zeros(len(draws), np.int64)
    left = np.array([balance])
    for i in range(len(draws)):
        left = paid_in(left, credits_[i : i + 1], reserve)
        held[i] = affordable(held[i : i + 1], prices[i : i + 1], left, baseline)[0]
        arms[i] = draw_arms(held[i : i + 1], draws[i : i + 1])[0]
        left = left - prices[i, arms[i]]
    return held, arms
