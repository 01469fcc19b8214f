"""Windows computed in the engine are numpy's, for every statistic that a definition may name."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from features.definitions.definition import DAY, MINUTE, Statistic, Window
from features.telemetry.columns import Floats
from features.telemetry.merged import Scope
from features.telemetry.rolling import rolling
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.fortnight import ENTITIES, STOP, fortnight

BY_NUMPY: dict[str, Callable[[Floats], float]] = {
    "mean": np.mean,
    "sd": np.std,
    "quantile": lambda column: np.quantile(column, 0.9),
    "min": np.min,
    "max": np.max,
    "last": lambda column: column[-1],
}


def windows(column: str) -> dict[str, Window]:
    return {
        each: Window(column, each, DAY, MINUTE, 0.9 if each == "quantile" else None)
        for each in get_args(Statistic)
    }


def scope(entities: tuple[str, ...] = ENTITIES) -> Scope:
    return Scope(STOP - DAY, STOP, entities, STOP * 1000)


@pytest.mark.parametrize("times_stored", [1, 2])
def test_each_statistic_is_that_of_numpy(empty: EmbeddedClickhouse, times_stored: int) -> None:
    day = fortnight().between(STOP - 2 * DAY, STOP)
    day.cpu[::3] = np.nan
    for again in range(times_stored):
        append(empty, day, source="demo", known_ms=STOP * 1000 - again)
    found = rolling(empty, windows("cpu"), scope())
    for entity in ENTITIES:
        column = day.cpu[(day.entity == entity) & (day.ts >= STOP - DAY)]
        column = column[np.isfinite(column)]
        assert found[entity] == pytest.approx(
            {name: float(of(column)) for name, of in BY_NUMPY.items()}, rel=1e-12
        )


def test_what_was_never_measured_has_no_statistic(empty: EmbeddedClickhouse) -> None:
    day = fortnight().between(STOP - DAY, STOP)
    day.cpu[:] = np.nan
    append(empty, day, source="demo", known_ms=STOP * 1000)
    found = rolling(empty, windows("cpu"), scope())
    assert all(np.isnan(value) for value in found[ENTITIES[0]].values())
    assert rolling(empty, windows("cpu"), scope(("nobody",))) == {}


def test_the_order_in_which_rows_came_does_not_change_a_bit(empty: EmbeddedClickhouse) -> None:
    day = fortnight().between(STOP - DAY, STOP)
    append(empty, day, source="demo", known_ms=STOP * 1000)
    before = rolling(empty, windows("request_rate"), scope())
    empty.execute("TRUNCATE TABLE measurements")
    for part in range(5, -1, -1):
        at = np.arange(len(day)) % 6 == part
        append(empty, day.rows(at), source=f"s{part}", known_ms=STOP * 1000 - part)
    assert rolling(empty, windows("request_rate"), scope()) == before
