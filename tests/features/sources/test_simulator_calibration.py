"""The law of latency given what is measured holds still: a model of the past fits what comes."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from features.calendars.days import DAY
from features.sources.simulator.platform import Platform
from features.telemetry.columns import Floats, Telemetry

MONDAY = 1_772_409_600  # 2026-03-02 00:00 UTC


def features(minutes: Telemetry, baseline: Telemetry) -> Floats:
    own = [np.median(p) for p in (baseline.p50_ms, baseline.p95_ms, baseline.p99_ms)]
    return np.column_stack(
        [
            minutes.load,
            minutes.infra,
            minutes.error_rate,
            np.log(minutes.request_rate / baseline.request_rate.mean()),
            np.full(len(minutes), own[1] / own[0]),
            np.full(len(minutes), own[2] / own[0]),
        ]
    )


def target(minutes: Telemetry, baseline: Telemetry) -> Floats:
    logs: Floats = np.log(minutes.exemplars[:, 0] / np.median(baseline.p50_ms))
    return logs


def test_a_model_of_sixty_days_is_calibrated_on_the_next_ten() -> None:
    platform = Platform(21)
    past = {e: platform.minutes(e, MONDAY, MONDAY + 60 * DAY) for e in platform.entities}
    future = {
        e: platform.minutes(e, MONDAY + 60 * DAY, MONDAY + 70 * DAY) for e in platform.entities
    }
    every = slice(None, None, 31)
    x = np.concatenate([features(t.rows(every), t) for t in past.values()])
    y = np.concatenate([target(t.rows(every), t) for t in past.values()])
    later_x = np.concatenate([features(t, past[e]) for e, t in future.items()])
    later_y = np.concatenate([target(t, past[e]) for e, t in future.items()])
    for level in (0.05, 0.5, 0.95):
        model = HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_iter=60, max_leaf_nodes=12, random_state=0
        ).fit(x, y)
        below = float(np.mean(later_y <= model.predict(later_x)))
        assert abs(below - level) < 0.02, level
