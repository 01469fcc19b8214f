"""Simulated worlds, and what an agent loses in them; numpy alone, so that a peer can play here.

Rewards are Bernoulli with a mean that is linear, or logistic, in the context. Many worlds are
played side by side in one array, and every agent meets the same contexts and the same fate.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
World = Callable[[Floats], Floats]
"""Every arm's mean reward, given the context of each world."""

SIZES = ((5, 6), (10, 11), (3, 3))
"""Arms, and the width of the context."""


def linear_world(many: int, arms: int, width: int, rng: np.random.Generator) -> World:
    theta = rng.uniform(-1, 1, (many, arms, width))
    theta *= 0.3 / np.abs(theta[..., 1:]).sum(axis=2, keepdims=True)
    theta[..., 0] = rng.uniform(0.35, 0.65, (many, arms))
    return lambda contexts: np.einsum("md,mad->ma", contexts, theta)


def logistic_world(many: int, arms: int, width: int, rng: np.random.Generator) -> World:
    theta = rng.normal(0, 0.8, (many, arms, width))
    return lambda contexts: 1 / (1 + np.exp(0.5 - np.einsum("md,mad->ma", contexts, theta)))


WORLDS = {"linear": linear_world, "logistic": logistic_world}
SEEDS = {"linear": 101, "logistic": 102}


def world_of(name: str, many: int, arms: int, width: int) -> World:
    return WORLDS[name](many, arms, width, np.random.default_rng(SEEDS[name]))


def contexts_of(many: int, width: int, rng: np.random.Generator) -> Floats:
    return np.hstack([np.ones((many, 1)), rng.uniform(-1, 1, (many, width - 1))])


class Agent(Protocol):
    def choose(self, contexts: Floats, rng: np.random.Generator) -> Ints: ...

    def learn(self, contexts: Floats, arms: Ints, rewards: Floats) -> None: ...


def regret_of(agent: Agent, means: World, many: int, width: int, steps: int) -> Floats:
    """Give what the agent lost against the best arm of each context, a figure a world."""
    fate, luck = np.random.default_rng(111), np.random.default_rng(112)
    each, lost = np.arange(many), np.zeros(many)
    for _ in range(steps):
        contexts = contexts_of(many, width, fate)
        mean, draw = means(contexts), fate.random(many)
        arms = agent.choose(contexts, luck)
        agent.learn(contexts, arms, (draw < mean[each, arms]).astype(np.float64))
        lost += mean.max(axis=1) - mean[each, arms]
    return lost
