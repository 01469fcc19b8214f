"""Experiments of every family, and clients that ask, wait and report."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.optimization.bandits.design import Design, Feature
from models.optimization.bandits.experiment import Experiment

Columns = dict[str, NDArray[Any]]


@pytest.fixture
def start() -> Callable[..., Experiment]:
    """Start an experiment of three arms, the first of them the baseline."""

    def begin(family: str = "linear", **settings: Any) -> Experiment:
        features = (Feature("load", 0.0, 2.0), Feature("rate", 0.0, 100.0))
        given = {"features": features if family == "linear" else ()} | settings
        return Experiment.start(Design(family=family, **given), ["old", "new", "odd"], "old")  # type: ignore[arg-type]  # the tests try unknown families too

    return begin


@pytest.fixture(scope="session")
def ask() -> Callable[[int, int], Columns]:
    def columns(rows: int, seed: int) -> Columns:
        rng = np.random.default_rng(seed)
        return {"load": rng.uniform(0, 2, rows), "rate": rng.uniform(0, 100, rows)}

    return columns
