"""Which publication was served at a moment."""

import time

import numpy as np

from features.definitions.catalogue import STORED
from features.store import PUBLISHED_SECONDS
from features.telemetry.by_source import forget_source
from features.telemetry.tables import append, keep_for
from features.vectors.publications import Served, digest_of, note, served
from features.vectors.published import OWN
from features.vectors.vector import GROUPS, Vector
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import telemetry_of

NOON_MS = 1_773_144_000_000


def vector(value: float) -> Vector:
    times = [float(NOON_MS)] * len(GROUPS)
    return Vector({each.name: value for each in STORED}, times, times, 300.0)


def publish(store: EmbeddedClickhouse, moment: int, written: int, **values: float) -> None:
    vectors = {entity: vector(each) for entity, each in values.items()}
    note(store, vectors, moment_ms=NOON_MS + moment, written_ms=NOON_MS + written)


def at(store: EmbeddedClickhouse, *asked: tuple[str, int]) -> Served:
    entities = sorted({entity for entity, _ in asked})
    who = np.array([entities.index(entity) for entity, _ in asked])
    return served(store, entities, who, NOON_MS + np.array([moment for _, moment in asked]))


def test_it_is_the_newest_that_could_be_read(empty: EmbeddedClickhouse) -> None:
    empty.execute("TRUNCATE TABLE publications")
    assert not at(empty, ("a", 0)).found.any()
    publish(empty, 0, 50, a=1.0, b=2.0)
    publish(empty, 1000, 1050, a=3.0)
    publish(empty, 3000, 2000, a=4.0)  # computed as of a moment that the clock had yet to reach
    asked = [("a", 49), ("a", 50), ("b", 1200), ("a", 1050), ("a", 2999), ("a", 3000), ("c", 9000)]
    found = at(empty, *asked)
    assert found.found.tolist() == [False, True, True, True, True, True, False]
    assert (found.moment_ms - NOON_MS)[found.found].tolist() == [0, 0, 1000, 1000, 3000]
    digests = [digest_of(vector(each).encode(OWN)) for each in (1.0, 2.0, 3.0, 3.0, 4.0)]
    assert found.digest[found.found].tolist() == digests
    assert set(found.layout[found.found]) == {OWN.id.hex()}
    assert set(found.cadence[found.found]) == {300.0}


def test_what_redis_has_forgotten_was_not_served(empty: EmbeddedClickhouse) -> None:
    empty.execute("TRUNCATE TABLE publications")
    publish(empty, 0, 0, a=1.0)
    kept = PUBLISHED_SECONDS * 1000
    assert at(empty, ("a", kept - 1), ("a", kept)).found.tolist() == [True, False]


def test_what_was_published_of_a_forgotten_source_is_forgotten(empty: EmbeddedClickhouse) -> None:
    empty.execute("TRUNCATE TABLE publications")
    rows = telemetry_of({("a", NOON_MS // 1000): {"cpu": 0.5}})
    append(empty, rows, source="demo", known_ms=NOON_MS)
    publish(empty, 0, 0, a=1.0, b=1.0)
    forget_source(empty, "demo")
    assert at(empty, ("a", 10), ("b", 10)).found.tolist() == [False, True]


def test_it_lasts_as_long_as_measurements_do(empty: EmbeddedClickhouse) -> None:
    empty.execute("TRUNCATE TABLE publications")
    now_ms = int(time.time() * 1000)
    ages = {"a": 1, "b": 39, "c": 41, "d": 500}
    for entity, days in ages.items():
        at_ms = now_ms - days * 86_400_000
        note(empty, {entity: vector(1.0)}, moment_ms=at_ms, written_ms=at_ms)
    for days, left in ((0, "abcd"), (40, "ab"), (40, "ab"), (20, "a")):
        keep_for(empty, days)
        empty.execute("OPTIMIZE TABLE publications FINAL")
        found = empty.query("SELECT entity FROM publications ORDER BY entity")
        assert "".join(row["entity"] for row in found) == left
    keep_for(empty, 0)
    publish(empty, 0, 0, z=1.0)  # of the year 2026, long ago by the time that this runs again
    empty.execute("OPTIMIZE TABLE publications FINAL")
    assert len(empty.query("SELECT entity FROM publications")) == 2
