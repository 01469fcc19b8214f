"""What feeding a fleet does to answers: the figures, and the rows that are fed."""

from dataclasses import replace

from benchmarks.features_speed.disturbance import Disturbance, Round, markdown
from benchmarks.features_speed.fleet import CADENCE, last_over, rows_of
from benchmarks.speed.openloop import OpenLoop
from features.sources.checks import checked
from tests.features.sources.test_posted import read

LOOP = OpenLoop(100, 100, 0, 0, 1.0, 4.0, 6.0, 8.0, 0.1, 0.2)
BEGIN = 1_772_452_800


def found(*fed_p99_ms: float, lost: int = 0) -> Disturbance:
    fed = [replace(LOOP, p99_ms=each, ok=100 - lost) for each in fed_p99_ms]
    return Disturbance([Round(LOOP, each) for each in fed])


def test_the_ratio_is_of_the_medians_of_the_rounds() -> None:
    assert found(4.0, 40.0, 4.4).ratio == 1.1
    assert found(4.0, 40.0, 4.4).kept
    assert not found(6.0, 6.0, 4.0).kept
    assert not found(4.0, lost=1).kept, "what is not answered is no short answer"


def test_it_is_shown_as_a_table_with_the_verdict() -> None:
    kept, missed = markdown(found(4.4)), markdown(found(6.0, lost=2))
    assert "| nothing is fed | 1.00 | 4.00 | 6.00 | 8.00 |" in kept
    assert "| a full fleet is fed | 1.00 | 4.40 | 6.00 | 8.00 |" in kept
    assert "by the one without: 1.10 (at most 1.25; 0 without an answer): kept" in kept
    assert "1.50 (at most 1.25; 2 without an answer): MISSED" in missed


def test_what_is_fed_is_taken_as_it_is() -> None:
    entities = [f"service-{at}" for at in range(20)]
    posted = read(rows_of(entities, BEGIN))
    assert (posted.received, posted.complaints) == (20, ())
    taken = checked(posted.rows, now=BEGIN + CADENCE, cadence_seconds=CADENCE)
    assert taken.complaints == ()
    assert sorted(set(taken.telemetry.entity.tolist())) == sorted(entities)
    assert set(taken.telemetry.ts.tolist()) == {BEGIN}
    assert rows_of(entities, BEGIN) == rows_of(entities, BEGIN)
    assert rows_of(entities, BEGIN) != rows_of(entities, BEGIN + CADENCE)


def test_the_interval_that_is_over_is_fed() -> None:
    assert last_over(BEGIN + CADENCE) == BEGIN
    assert last_over(BEGIN + CADENCE - 0.1) == BEGIN - CADENCE
