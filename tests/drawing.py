"""Long lists for hypothesis: every choice it makes costs it more than most tests take."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray


def many_of(elements: st.SearchStrategy[float], least: int, most: int) -> st.SearchStrategy[Any]:
    """Give arrays of so many numbers, put together from a dozen that hypothesis draws."""
    pools = st.lists(elements, min_size=1, max_size=12)
    return st.builds(_drawn, pools, st.integers(least, most), st.integers(0, 2**32 - 1))


def _drawn(pool: list[float], size: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).choice(np.array(pool, dtype=np.float64), size)
