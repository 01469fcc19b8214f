"""A finished series through the filter: its segments are those of the definition."""

from typing import Any

import numpy as np
import pytest

from benchmarks.quality.segmentation import segment
from models.anomaly.bocpd_settings import BocpdSettings


def scaled(values: Any) -> Any:
    return ((values - values.mean()) / values.std(ddof=1))[:, None]


@pytest.mark.parametrize("seed", range(4))
def test_segments_are_those_of_the_definition(exact_run_lengths: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.repeat(rng.normal(0, 4, 5), 30) + rng.normal(size=150)
    _, surprise, chosen = exact_run_lengths(BocpdSettings(), scaled(values))
    starts, latest = [], 150
    while latest >= 1 and chosen[latest - 1] > 0:
        starts.append(int(chosen[latest - 1]))
        latest = starts[-1] - 1
    found = segment(values)
    assert found.starts.tolist() == sorted(s for s in starts if s < 150)
    bits = surprise.sum() + 150 * np.log(values.std(ddof=1))
    assert -found.log_evidence == pytest.approx(bits, rel=1e-9)
