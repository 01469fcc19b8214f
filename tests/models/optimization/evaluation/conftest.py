"""Worlds whose policies' values are known, and logs of them."""

from collections.abc import Callable

import numpy as np
import pytest

from models.optimization.evaluation.logged import LoggedDecisions
from models.protocols import FloatArray

Made = tuple[LoggedDecisions, FloatArray]


@pytest.fixture(scope="session")
def world() -> Callable[..., Made]:
    """Make a log of three arms, and the true mean of every arm in every row."""

    def make(rows: int, seed: int, rare: float = 0.2) -> Made:
        rng = np.random.default_rng(seed)
        contexts = np.hstack([np.ones((rows, 1)), rng.uniform(-1, 1, (rows, 2))])
        slopes = np.array([[0.5, 0.6, 0.4], [0.1, -0.2, 0.2], [0.0, 0.1, -0.1]])
        means = contexts @ slopes
        chances = np.full((rows, 3), rare)
        chances[:, 0] = 1 - 2 * rare
        arms = (rng.random((rows, 1)) > np.cumsum(chances, axis=1)).sum(axis=1).clip(0, 2)
        rewards = (rng.random(rows) < means[np.arange(rows), arms]).astype(np.float64)
        return LoggedDecisions(contexts, arms, rewards, chances), means

    return make
