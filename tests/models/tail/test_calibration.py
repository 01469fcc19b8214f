from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.conformal import conformal_quantile, cqr_scores
from models.tail.calibration import INTERVAL_LEVEL, calibrated_offset, one_request_each
from models.tail.curve import LEVELS, ordered

VALUES = st.floats(-50, 50, width=32)


@given(st.data(), st.integers(20, 120))
def test_mapies_offset_is_the_formulas_to_the_last_bit(data: Any, count: int) -> None:
    raw = data.draw(arrays(np.float32, (count, len(LEVELS)), elements=VALUES))
    truth = data.draw(arrays(np.float32, count, elements=VALUES)).astype(np.float64)
    quantiles = ordered(raw)
    own = conformal_quantile(cqr_scores(quantiles[:, 0], quantiles[:, 2], truth), INTERVAL_LEVEL)
    assert calibrated_offset(quantiles, truth) == own


def test_one_request_of_each_minute_is_drawn_evenly() -> None:
    targets = np.arange(8_000)[:, None] * 8 + np.arange(8)
    drawn = one_request_each(targets.astype(np.float64), np.random.default_rng(1))
    minute, which = np.divmod(drawn, 8)
    assert (minute == np.arange(8_000)).all()
    assert np.bincount(which.astype(int), minlength=8).min() > 850
