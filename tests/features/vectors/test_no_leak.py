"""What a model learns from is what it would have been given: no more, to the last bit.

Telemetry comes late and is corrected. At each moment the live path publishes what it knows, with
what it remembers from before; when all has come in, the same moments are computed again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config_store.sources import EntityFacts
from features.definitions.catalogue import STORED, Catalogue
from features.definitions.definition import HOUR, Window
from features.telemetry.columns import Telemetry
from features.telemetry.tables import append
from features.vectors.as_of import settled_step
from features.vectors.computed import StoredFeatures
from features.vectors.published import OWN
from features.vectors.reading import Features, Reading
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import Given, put_together, telemetry_of

START = 1_773_144_000  # 2026-03-10 12:00 UTC
CADENCE = 600
ENTITIES = ("auth", "risk", "plain")
FACTS = {
    "auth": EntityFacts(exchange="XNYS"),
    "risk": EntityFacts(time_zone="Asia/Tokyo"),
    "plain": EntityFacts(),
}
CATALOGUE = Catalogue()
READING = Reading(CATALOGUE, [*CATALOGUE.by_name])

_numbers = st.sampled_from([np.nan, 0.0, 0.1, 0.3, 0.7, 2.0, 3.3, 1e3]) | st.floats(0, 1e4)
_METRICS = (
    *("load", "infra", "request_rate", "error_rate", "active_workers", "cpu", "queue_depth"),
    *("p50_ms", "p99_ms"),
)
_rows = st.fixed_dictionaries({}, optional=dict.fromkeys(_METRICS, _numbers))
# Up to nine days back: some are out of every window.
_ages = st.sampled_from([0, 1, 2, 3, 5, 7, 30, 140, 150, 600, 1000, 1300])
_keys = st.tuples(st.sampled_from(ENTITIES), _ages.map(lambda age: START - age * CADENCE))
# Seconds after the start, near the steps of minutes and hours on purpose.
_seconds = st.sampled_from([0, 1, 4, 5, 6, 58, 61, 64, 66, 130, 3599, 3601, 3604, 3606, 7300])
_given = st.lists(
    st.builds(
        Given,
        st.sampled_from(["a", "b"]),
        _seconds.map(lambda at: (START + at) * 1000 + 137),
        st.dictionaries(_keys, _rows, min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: (each.source, each.known_ms),
)
_moments = st.lists(_seconds.map(lambda at: START + at), min_size=1, max_size=3, unique=True)

a_few = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Lived(NamedTuple):
    """What was published, by moment."""

    at: int
    rows: dict[str, tuple[float, ...]]
    features: Features


def look(features: StoredFeatures, at: int) -> Lived:
    found = features.published(ENTITIES, CADENCE, at * 1000)
    vectors = [
        (OWN, found[each].vector.encode(OWN)) if each in found else None for each in ENTITIES
    ]
    rows = {each: (*one.row.values.values(), one.row.event_time) for each, one in found.items()}
    return Lived(at, rows, READING.read(vectors, float(at)))


def live(
    store: EmbeddedClickhouse, history: Sequence[Given], moments: Sequence[int]
) -> list[Lived]:
    """Let time go by: rows come in when they are known, and features are published in between."""
    features, seen = StoredFeatures(store, FACTS.__getitem__), []
    left = sorted(history, key=lambda each: each.known_ms)
    for at in sorted(moments):
        while left and left[0].known_ms <= at * 1000:
            add(store, left.pop(0))
        seen.append(look(features, at))
    for each in left:
        add(store, each)
    return seen


def add(store: EmbeddedClickhouse, given_: Given) -> None:
    append(store, telemetry_of(given_.rows), source=given_.source, known_ms=given_.known_ms)


@given(_given, _moments)
@a_few
def test_each_feature_of_then_is_computed_again_to_the_bit(
    empty: EmbeddedClickhouse, history: list[Given], moments: list[int]
) -> None:
    empty.execute("TRUNCATE TABLE measurements")
    seen = live(empty, history, moments)
    empty.execute("OPTIMIZE TABLE measurements FINAL")
    for then in seen:
        again = look(StoredFeatures(empty, FACTS.__getitem__), then.at)
        np.testing.assert_equal(again.rows, then.rows)
        for name, part in zip(then.features.names, then.features.values.T, strict=True):
            mine = again.features.values[:, again.features.names.index(name)]
            np.testing.assert_array_equal(mine, part, err_msg=name)
        np.testing.assert_array_equal(again.features.event_time, then.features.event_time)
        np.testing.assert_array_equal(again.features.known_time, then.features.known_time)
        known = then.features.known_time
        assert (known[np.isfinite(known)] <= then.at).all()


def expected(rows: Telemetry, entity: str, window: Window, at: int) -> float:
    mine = rows.rows((rows.entity == entity) & (rows.ts >= at - window.seconds) & (rows.ts < at))
    column = mine.columns()[window.column]
    column = column[np.isfinite(column)]
    if not column.size:
        return np.nan
    if window.quantile is not None:
        return float(np.quantile(column, window.quantile))
    return float(np.mean(column) if window.statistic == "mean" else np.std(column))


@given(_given, _seconds)
@a_few
def test_windows_are_those_of_numpy_over_what_was_known_at_the_step(
    empty: EmbeddedClickhouse, history: list[Given], second: int
) -> None:
    empty.execute("TRUNCATE TABLE measurements")
    at = START + second
    for each in history:
        add(empty, each)
    found = StoredFeatures(empty, FACTS.__getitem__).published(ENTITIES, CADENCE, at * 1000)
    for entity, published in found.items():
        for definition in STORED:
            window = definition.computed
            if isinstance(window, Window):
                steps = (settled_step(at, window.step_seconds), settled_step(at, 60), at)
                values = [
                    (expected(rows, entity, window, step), step)
                    for step in steps
                    for rows in (put_together(history, step * 1000),)
                    if (
                        (rows.entity == entity)
                        & (rows.ts >= step - window.seconds)
                        & (rows.ts < step)
                    ).any()
                ]
                value = values[0][0] if values else np.nan
                assert published.vector.values[definition.name] == pytest.approx(
                    value, rel=1e-12, abs=1e-9, nan_ok=True
                )


def test_a_correction_counts_only_from_the_next_step(empty: EmbeddedClickhouse) -> None:
    """Plant a leak: what is known a second after the step must not be in what is as of the step."""
    add(empty, Given("a", (START - HOUR) * 1000, {("auth", START - HOUR // 2): {"cpu": 0.5}}))
    add(empty, Given("a", (START - 1800 + 1) * 1000, {("auth", START - 1800): {"cpu": 0.5}}))
    add(empty, Given("b", (START + 1) * 1000, {("auth", START - 1800): {"cpu": 0.9}}))
    features = StoredFeatures(empty, FACTS.__getitem__)
    means = [
        features.published(["auth"], 60.0, at * 1000)["auth"].vector.values["cpu_mean_1h"]
        for at in (START + 7, START + 64, START + 66)
    ]
    assert means == [0.5, 0.5, 0.9]
