"""A million updates of one posterior, beside the same sums in 80 bits."""

from collections.abc import Iterator

import numpy as np

from benchmarks.quality.experiments.worlds import contexts_of
from benchmarks.quality.row import Row
from models.optimization.bandits.linear import LinearPosterior

ROUNDING = 1e-9


def accuracy_rows(updates: int = 1_000_000, width: int = 6) -> Iterator[Row]:
    rng = np.random.default_rng(41)
    posterior, only = (
        LinearPosterior.fresh(1, width, prior=1.0, discount=1.0),
        np.zeros(1, np.int64),
    )
    contexts = contexts_of(updates, width, rng)
    rewards = np.clip(contexts @ np.full(width, 0.08) + 0.4 + rng.normal(0, 0.05, updates), 0, 1)
    for i in range(updates):
        posterior.learn(only, only, contexts[i : i + 1], rewards[i : i + 1])
    skew = float(np.abs(posterior.precision - posterior.precision.swapaxes(2, 3)).max())
    yield Row("a million updates: asymmetry", skew, 0.0, "exact", skew == 0)
    long = contexts.astype(np.longdouble)
    gram, moment = long.T @ long + np.eye(width), long.T @ (rewards - 0.5)
    theta = np.linalg.solve(gram.astype(np.float64), moment.astype(np.float64))
    probe = contexts[:1_000]
    error = float(np.abs(posterior.beliefs(probe).mean[:, 0] - 0.5 - probe @ theta).max())
    yield Row(
        "a million updates: error of the mean", error, ROUNDING, "in 80 bits", error < ROUNDING
    )
