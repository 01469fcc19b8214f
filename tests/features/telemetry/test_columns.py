from dataclasses import replace

import numpy as np
import pytest

from features.sources.simulator.platform import Platform
from features.telemetry.columns import COLUMNS, EXEMPLARS, Telemetry, load_of

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC


@pytest.fixture(scope="module")
def hour() -> Telemetry:
    return Platform(1).minutes("auth", NOON, NOON + 3600)


def test_columns_describe_the_record_field_by_field(hour: Telemetry) -> None:
    assert tuple(column.name for column in COLUMNS) == tuple(hour.columns())
    for column in COLUMNS:
        assert hour.columns()[column.name].dtype.kind == column.kind.replace("b", "i")


def test_concat_of_cuts_gives_the_rows_back(hour: Telemetry) -> None:
    cuts = [
        hour.between(NOON, NOON + 600),
        hour.rows(slice(10, 47)),
        hour.rows(hour.ts >= NOON + 47 * 60),
    ]
    again = Telemetry.concat(cuts)
    for name, values in hour.columns().items():
        np.testing.assert_array_equal(values, again.columns()[name])


def test_between_takes_the_start_and_leaves_the_stop(hour: Telemetry) -> None:
    assert hour.between(NOON + 60, NOON + 180).ts.tolist() == [NOON + 60, NOON + 120]


def test_nothing_is_a_record_too(hour: Telemetry) -> None:
    nothing = Telemetry.concat([])
    assert len(nothing) == 0
    assert nothing.exemplars.shape == (0, EXEMPLARS)
    assert len(Telemetry.concat([nothing, hour])) == len(hour)


def test_a_column_of_another_length_is_refused_by_name(hour: Telemetry) -> None:
    with pytest.raises(ValueError, match="column cpu has shape"):
        replace(hour, cpu=hour.cpu[:-1])


def test_a_column_of_another_kind_is_refused_by_name(hour: Telemetry) -> None:
    with pytest.raises(ValueError, match="column ts has dtype float64"):
        replace(hour, ts=hour.ts.astype(np.float64))


def test_the_processors_stand_for_a_load_that_was_not_measured_and_for_no_other() -> None:
    load = np.array([0.5, np.nan, np.nan, np.nan, np.nan])
    cpu = np.array([0.9, 0.9, np.nan, 0.9, 0.9])
    workers = np.array([4.0, 4.0, 4.0, np.nan, 0.0])
    assert np.array_equal(
        load_of(load, cpu, workers), [0.5, 0.9, np.nan, np.nan, np.nan], equal_nan=True
    )
