"""Series whose tails are known, and the bits of an answer."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from models.tail.extremes.excesses import Excesses, from_peaks

Floats = NDArray[np.float64]


@pytest.fixture
def pareto() -> Callable[..., Excesses]:
    """Excesses of a generalised Pareto law, one value in twenty above the threshold."""

    def sample(shape: float, size: int, seed: int, scale: float = 2.0) -> Excesses:
        excess = stats.genpareto.rvs(shape, scale=scale, size=size, random_state=seed)
        return from_peaks(excess + 10.0, 10.0, 20 * size)

    return sample


@pytest.fixture
def bits() -> Callable[[Any], Any]:
    """Give what an answer is made of, down to the last bit, and NaN equal to itself."""

    def of(answer: Any) -> Any:
        if dataclasses.is_dataclass(answer):
            fields = dataclasses.fields(answer)
            return [(field.name, of(getattr(answer, field.name))) for field in fields]
        if isinstance(answer, (tuple, list)):
            return [of(part) for part in answer]
        if isinstance(answer, np.ndarray):
            return answer.tobytes()
        return answer.hex() if isinstance(answer, float) else answer

    return of
