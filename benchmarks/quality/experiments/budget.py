"""The budget for exploration, a thousand experiments at once, rewards ten steps late."""

from collections.abc import Iterator

import numpy as np

from benchmarks.quality.experiments.agents import Ours
from benchmarks.quality.experiments.worlds import WORLDS, World, contexts_of
from benchmarks.quality.row import Row
from models.optimization.bandits import budget
from models.optimization.bandits.design import Pricing
from models.optimization.bandits.policies import draw_arms
from models.protocols import FloatArray, IntArray


def budget_rows(many: int = 1_000, steps: int = 500, share: float = 0.1) -> Iterator[Row]:
    pricings: tuple[Pricing, ...] = ("worst_case", "confidence")
    for name, world in WORLDS.items():
        for pricing in pricings:
            means = world(many, 4, 4, np.random.default_rng(21))
            over, window, tried = budget_run(means, many, steps, share, pricing)
            what = f"budget of 10 %, {name} world, {pricing}"
            yield Row(f"{what}: most over it since the start", over, 0.0, "allowed", over <= 0)
            yield Row(f"{what}: most over it in any window", window, 1.0, "reserve", window <= 1)
            yield Row(f"{what}: decisions off the baseline", tried, 0.0, "at least", tried > 0)


def budget_run(
    means: World, many: int, steps: int, share: float, pricing: Pricing, delay: int = 10
) -> tuple[float, float, float]:
    agent = Ours(many, 4, 4, "ucb")
    fate, luck, each = np.random.default_rng(31), np.random.default_rng(32), np.arange(many)
    balance, over, least = np.zeros(many), np.zeros(many), np.zeros(many)
    worst, window, tried = -np.inf, 0.0, 0.0
    waiting: list[tuple[FloatArray, IntArray, FloatArray]] = []
    for _ in range(steps):
        contexts = contexts_of(many, 4, fate)
        mean, draw = means(contexts), fate.random(many)
        prices = budget.worst_prices(many, 4, 0)
        if pricing == "confidence":
            lower, upper = agent.posterior.bounds(contexts, 0.05)
            prices = budget.bounded_prices(lower, upper, 0)
            balance = budget.paid_in(balance, share * np.maximum(lower[:, 0], 0.0), 1.0)
        chances = budget.affordable(agent.chances(contexts, luck), prices, balance, 0)
        arms = draw_arms(chances, luck.random(many))
        balance = balance - prices[each, arms]
        over += mean[:, 0] - mean[each, arms] - share * mean[:, 0]
        worst, tried = max(worst, float(over.max())), tried + float((arms != 0).mean())
        window, least = max(window, float((over - least).max())), np.minimum(least, over)
        waiting.append((contexts, arms, (draw < mean[each, arms]).astype(np.float64)))
        if len(waiting) > delay:
            due = waiting.pop(0)
            agent.learn(*due)
            if pricing == "worst_case":
                earned = np.where(due[1] == 0, share * due[2], 0.0)
                balance = budget.paid_in(balance, earned, 1.0)
    return worst, window, tried / steps
