from typing import Any

import numpy as np
import pytest

from models.errors import TrainingDataError
from models.tail.history import history_of, split_by_time

HOUR, DAY = 3_600, 86_400


def test_targets_are_logarithms_over_what_was_normal_then(law: Any) -> None:
    columns = law.telemetry(seed=1, days=9)
    history = history_of(columns)
    assert history.ts.min() == columns["ts"].min() + 7 * DAY
    # Both entities keep one law, though one is ninety times slower.
    first, second = np.split(history.targets, 2)
    assert abs(np.median(first) - np.median(second)) < 0.05


def test_minutes_with_holes_are_left_out(law: Any) -> None:
    columns = law.telemetry(seed=1, days=9)
    whole = history_of(columns).ts.size
    columns["load"][-1] = np.nan
    columns["exemplars"][-2, 3] = 0.0
    columns["exemplars"][-3, 3] = np.nan
    assert history_of(columns).ts.size == whole - 3


def test_the_recent_quarter_alternates_and_is_never_trained_on(law: Any) -> None:
    history = history_of(law.telemetry(seed=1))
    train, calibration, held_out = split_by_time(history)
    assert train.ts.max() < min(calibration.ts.min(), held_out.ts.min())
    assert train.ts.size + calibration.ts.size + held_out.ts.size == history.ts.size
    assert not set(calibration.ts // HOUR) & set(held_out.ts // HOUR)
    assert abs(calibration.ts.size - held_out.ts.size) < 0.05 * history.ts.size
    for part in (calibration, held_out):
        assert set(part.ts % DAY // HOUR) == set(range(24))


def test_too_little_is_refused_in_words(law: Any) -> None:
    with pytest.raises(TrainingDataError, match="the telemetry lacks exemplars or p95_ms or p99"):
        history_of({k: v for k, v in law.telemetry(seed=1, days=1).items() if k != "exemplars"})
    with pytest.raises(TrainingDataError, match="no history is left after the 7 days"):
        split_by_time(history_of(law.telemetry(seed=1, days=7)))
    with pytest.raises(TrainingDataError, match="intervals of history for calibration, and"):
        split_by_time(history_of(law.telemetry(seed=1, days=9)))
