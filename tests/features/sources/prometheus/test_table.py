"""Answers that a server should not give, seen from the source that asked."""

from collections.abc import Sequence

import numpy as np
import pytest

from features.errors import SourceRefusedError
from features.sources.prometheus.source import PrometheusSource
from features.sources.prometheus.table import MOST_ENTITIES
from features.sources.rules import Mapping
from features.sources.source import Gathered
from tests.features.sources.prometheus.lying import START, asking, lying, success

MAPPING = Mapping.model_validate(
    {"entity": "job", "metrics": {"memory": {"kind": "gauge", "of": {"name": "x"}}}}
)


def series(entity: str, *points: tuple[float, str]) -> dict[str, object]:
    return {"metric": {"job": entity}, "values": points}


async def given(*found: dict[str, object], minutes: int = 2) -> Gathered:
    answer = success({"resultType": "matrix", "result": found})
    async with lying(answer) as liar, asking(liar.url) as api:
        source = PrometheusSource("prod", api, MAPPING, 60, lambda: START + 3600.0)
        return await source.range(START, START + 60 * minutes)


async def test_a_value_describes_the_interval_before_it() -> None:
    found = await given(series("shop", (START + 60, "0.5"), (START + 120, "0.25")))
    assert found.telemetry.ts.tolist() == [START, START + 60]
    assert found.telemetry.memory.tolist() == [0.5, 0.25]
    assert found.complaints == ()


async def test_values_that_are_no_numbers_are_complained_of() -> None:
    found = await given(
        series("shop", (START + 60, "NaN"), (START + 120, "0.25")),
        series("desk", (START + 60, "+Inf"), (START + 120, "-0.5")),
    )
    assert found.telemetry.memory.tolist() == [0.25]
    assert {each.fault for each in found.complaints} == {"not a number", "out of bounds"}


@pytest.mark.parametrize("at", [START, START + 61, START + 180, START - 600, 1e300])
async def test_values_of_times_that_nobody_asked_for_are_refused(at: float) -> None:
    with pytest.raises(SourceRefusedError, match="times that it was not asked for"):
        await given(series("shop", (at, "0.5")))


async def test_a_label_that_names_no_services_is_refused() -> None:
    one: Sequence[tuple[float, str]] = [(START + 60, "0.5")]
    many = [series(f"request-{number}", *one) for number in range(MOST_ENTITIES + 1)]
    with pytest.raises(SourceRefusedError, match="names over 10000 entities"):
        await given(*many)
    assert len((await given(*many[1:])).telemetry) == MOST_ENTITIES


async def test_nothing_is_nothing() -> None:
    found = await given()
    assert len(found.telemetry) == 0
    assert found.complaints == ()
    assert np.isnan(found.telemetry.memory).all()
