"""A healthy batch to spoil."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.safety.shipped import TAIL
from safety.arrays import FloatArray
from safety.policy import FamilyPolicy
from safety.tail import tail_policy

Columns = dict[str, FloatArray]
# What the benchmarks time is what these tests spoil.
HEALTHY = TAIL


@pytest.fixture
def policy() -> FamilyPolicy:
    return tail_policy()


@pytest.fixture
def healthy() -> Callable[..., Columns]:
    """Make n healthy rows, with some fields set to something else in all of them."""

    def rows(n: int = 1, **spoiled: float) -> Columns:
        values = HEALTHY | spoiled
        return {field: np.full(n, value) for field, value in values.items()}

    return rows
