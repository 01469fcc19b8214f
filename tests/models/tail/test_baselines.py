from typing import Any

import numpy as np
import pytest

from models.errors import TrainingDataError
from models.tail.baselines import (
    TRAILING_DAYS,
    Baseline,
    entity_baselines,
    trailing_baselines,
)

DAY = 86_400


def steps(days: int, doubled_on: int) -> dict[str, Any]:
    """Make one entity, an hour a row: 10 ms, from one day on 20; 100 requests a second at noon."""
    ts = np.arange(0, days * DAY, 3_600)
    return {
        "ts": ts,
        "entity": np.full(ts.size, "orders"),
        "p50_ms": np.where(ts < doubled_on * DAY, 10.0, 20.0),
        "request_rate": np.where(ts % DAY == DAY // 2, 100.0, 1.0),
    }


def test_a_row_has_the_baseline_of_the_week_before_its_day() -> None:
    columns = steps(days=20, doubled_on=10)
    ms, _ = trailing_baselines(columns)
    by_day = ms.reshape(20, 24)
    assert np.isnan(by_day[:TRAILING_DAYS]).all()
    assert (by_day[7:14] == 10).all()  # on day 13, three of seven days before are slow
    assert (by_day[14:] == 20).all()


def test_what_comes_later_changes_no_baseline() -> None:
    columns = steps(days=20, doubled_on=10)
    later = columns | {"p50_ms": np.where(columns["ts"] < 15 * DAY, columns["p50_ms"], 999.0)}
    until = columns["ts"] < 16 * DAY
    for before, after in zip(trailing_baselines(columns), trailing_baselines(later), strict=True):
        assert np.array_equal(before[until], after[until], equal_nan=True)


def test_the_latest_baseline_is_that_of_the_next_days_rows() -> None:
    columns, longer = steps(days=15, doubled_on=10), steps(days=16, doubled_on=10)
    ms, rate = trailing_baselines(longer)
    assert entity_baselines(columns) == {"orders": Baseline(ms[-1], rate[-1])}


def test_the_rate_is_that_of_the_median_request() -> None:
    # 100 of 123 requests a day come at noon, in one hour of 24.
    assert entity_baselines(steps(days=9, doubled_on=99))["orders"].baseline_rate == 100.0


def test_neither_order_of_rows_nor_gaps_nor_neighbours_matter() -> None:
    orders, others = steps(days=12, doubled_on=9), steps(days=12, doubled_on=3)
    others["entity"] = np.full(others["ts"].size, "quotes")
    mixed = {key: np.concatenate([orders[key], others[key]]) for key in orders}
    shuffled = np.random.default_rng(1).permutation(mixed["ts"].size)
    mixed = {key: values[shuffled] for key, values in mixed.items()}
    ours = mixed["entity"] == "orders"
    sorted_rows = np.argsort(mixed["ts"][ours])
    expected, _ = trailing_baselines(orders)
    found = trailing_baselines(mixed)[0][ours][sorted_rows]
    assert np.array_equal(found, expected, equal_nan=True)
    mixed["p50_ms"][::5] = np.nan
    assert entity_baselines(mixed)["orders"].baseline_ms == 10.0


def test_an_entity_without_traffic_is_refused_by_name() -> None:
    columns = steps(days=9, doubled_on=99)
    columns["request_rate"] = np.zeros(columns["ts"].size)
    with pytest.raises(TrainingDataError, match="'orders' has no traffic"):
        entity_baselines(columns)
