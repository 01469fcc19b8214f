"""What each source gave, and what is left when one is forgotten."""

from features.telemetry import stored
from features.telemetry.by_source import Extent, extent, forget_source, sources_present
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import telemetry_of

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC


def give(store: EmbeddedClickhouse, source: str, minutes: range, load: float, known: int) -> None:
    rows = {("auth", NOON + 60 * at): {"load": load} for at in minutes}
    append(store, telemetry_of(rows), source=source, known_ms=known)


def test_a_source_reaches_from_its_first_interval_to_its_last(empty: EmbeddedClickhouse) -> None:
    assert extent(empty, "shop") is None
    assert sources_present(empty) == {}
    give(empty, "shop", range(5, 10), 1.0, known=5)
    give(empty, "demo", range(20), 2.0, known=4)
    assert extent(empty, "shop") == Extent(NOON + 300, NOON + 540, 5)
    assert extent(empty, "demo") == Extent(NOON, NOON + 19 * 60, 20)
    assert extent(empty, "sho") is None
    assert sources_present(empty) == {"demo": 20, "shop": 5}


def test_a_forgotten_source_is_gone_and_the_others_stay(empty: EmbeddedClickhouse) -> None:
    for name in ("demo", "x') OR 1=1 --", "demo-2"):
        give(empty, name, range(3), 1.0, known=9)
    give(empty, "shop", range(2, 5), 2.0, known=5)
    forget_source(empty, "x') OR 1=1 --")
    assert sources_present(empty) == {"demo": 3, "demo-2": 3, "shop": 3}
    forget_source(empty, "nobody")
    forget_source(empty, "demo-2")
    forget_source(empty, "demo")
    forget_source(empty, "demo")
    assert sources_present(empty) == {"shop": 3}
    found = stored.between(empty, NOON, NOON + 3600)
    assert found.ts.tolist() == [NOON + 120, NOON + 180, NOON + 240]
    assert found.load.tolist() == [2.0, 2.0, 2.0]


def test_what_was_forgotten_can_be_given_again(empty: EmbeddedClickhouse) -> None:
    give(empty, "demo", range(3), 1.0, known=9)
    forget_source(empty, "demo")
    give(empty, "demo", range(3), 1.0, known=9)
    assert sources_present(empty) == {"demo": 3}
