"""Which entities there are, how often each is measured, and what is missing."""

import numpy as np
import pytest

from features.telemetry.columns import Telemetry
from features.telemetry.seen import DAY, entities
from features.telemetry.tables import METRICS, append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import Given, put_together, telemetry_of

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC


def every(entity: str, cadence: int, stop: int, **values: float) -> Telemetry:
    start = NOON - 2 * DAY
    return telemetry_of({(entity, ts): values for ts in range(start, stop, cadence)})


@pytest.mark.parametrize("cadence", [15, 60, 300, 3600])
def test_an_entity_is_described(empty: EmbeddedClickhouse, cadence: int) -> None:
    append(empty, every("auth", cadence, NOON, load=1.0), source="shop", known_ms=5)
    append(empty, every("auth", 2 * cadence, NOON, cpu=0.5), source="batch", known_ms=5)
    (found,) = entities(empty, 0)
    assert (found.entity, found.sources) == ("auth", ("batch", "shop"))
    assert (found.first, found.last) == (NOON - 2 * DAY, NOON - cadence)
    assert found.cadence_seconds == cadence
    assert found.missing == dict.fromkeys(METRICS, 1.0) | {"load": 0.0, "cpu": 0.5}


def test_an_interval_that_is_not_there_is_missing_too(empty: EmbeddedClickhouse) -> None:
    whole = every("auth", 60, NOON, load=1.0)
    kept = (whole.ts < NOON - 3600) | (whole.ts >= NOON - 1800)
    append(empty, whole.rows(kept), source="shop", known_ms=5)
    append(empty, every("risk", 60, NOON - DAY, load=1.0), source="shop", known_ms=5)
    auth, risk = entities(empty, 0)
    assert auth.missing["load"] == pytest.approx(30 / 1440)
    assert (auth.last, risk.last) == (NOON - 60, NOON - DAY - 60)
    assert risk.missing["load"] == 0.0


def test_an_entity_of_one_interval_has_no_cadence(empty: EmbeddedClickhouse) -> None:
    append(empty, telemetry_of({("auth", NOON): {"load": 1.0}}), source="shop", known_ms=5)
    (found,) = entities(empty, 0)
    assert found.cadence_seconds is None
    assert (found.missing["load"], found.missing["cpu"]) == (0.0, 1.0)


def test_only_what_was_measured_since_and_known_then_counts(empty: EmbeddedClickhouse) -> None:
    early = Given("shop", NOON * 1000, {("auth", NOON - 60 * at): {"load": 1.0} for at in range(9)})
    late = Given("more", NOON * 1000 + 1, {("risk", NOON - 60): {"load": np.inf}})
    for each in (early, late):
        append(empty, telemetry_of(each.rows), source=each.source, known_ms=each.known_ms)
    assert len(put_together([early, late])) == 10
    assert [each.entity for each in entities(empty, NOON)] == ["auth"]
    assert [each.entity for each in entities(empty, 0)] == ["auth", "risk"]
    assert entities(empty, NOON + 60) == []
    (then,) = entities(empty, 0, known_until_ms=NOON * 1000)
    assert (then.entity, then.last) == ("auth", NOON)
    (before,) = [each for each in entities(empty, 0) if each.entity == "risk"]
    assert before.missing["load"] == 1.0
