"""For whom the rows in the lanes wait, with a real stopwatch and a lane that is what it says."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from deployments.gateway.lanes.waits import LaneWaits
from deployments.gateway.pipeline.timings import Stopwatch
from deployments.runtime.autoscaling.signals import wait_for
from observability.metrics import Metrics


@dataclass
class Lane:
    waiting_rows: int = 0


class Clock:
    """One for all that is measured here."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "perf_counter", found)
    return found


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch(Metrics(CollectorRegistry()))


def carry(stopwatch: Stopwatch, clock: Clock, family: str, rows: int, **seconds: float) -> None:
    """Have one batch take so long at each of its stages."""
    lap: Callable[[str], None] = stopwatch.start(family, rows)
    for stage, taken in seconds.items():
        clock.now += taken
        lap(stage)
    stopwatch.write()


def waiting(report: dict[str, float]) -> dict[str, float]:
    """Give the stages that somebody waits for."""
    assert set(report) == set(map(wait_for, ("features", "safety", "tail", "anomaly")))
    return {name: seconds for name, seconds in report.items() if seconds}


def waits(lanes: dict[str, Lane], stopwatch: Stopwatch, clock: Clock) -> LaneWaits:
    stages = {"tail": "tail", "extremes": "tail", "anomaly": "anomaly"}
    return LaneWaits(lanes, stages, stopwatch.take_spent, clock)


def test_the_wait_is_shared_out_as_the_batches_time_is(stopwatch: Stopwatch, clock: Clock) -> None:
    lanes = {"tail": Lane(30)}
    found = waits(lanes, stopwatch, clock)
    for _ in range(10):
        found.look()
        carry(stopwatch, clock, "tail", 6, features=0.02, model=0.06, safety=0.01, ledger=0.01)
    # Thirty wait while sixty a second are carried: half a second each.
    assert waiting(found.report()) == {
        wait_for("features"): pytest.approx(0.1),
        wait_for("tail"): pytest.approx(0.3),
        wait_for("safety"): pytest.approx(0.05),
    }


def test_where_nobody_waits_it_says_so(stopwatch: Stopwatch, clock: Clock) -> None:
    found = waits({"tail": Lane(0)}, stopwatch, clock)
    found.look()
    carry(stopwatch, clock, "tail", 64, model=0.5)
    assert waiting(found.report()) == {}


def test_of_the_families_of_a_stage_the_longest_wait_counts(
    stopwatch: Stopwatch, clock: Clock
) -> None:
    lanes = {"tail": Lane(10), "extremes": Lane(10)}
    found = waits(lanes, stopwatch, clock)
    found.look()
    carry(stopwatch, clock, "tail", 100, model=0.5)
    carry(stopwatch, clock, "extremes", 20, model=0.5)
    assert found.report()[wait_for("tail")] == pytest.approx(0.5)


def test_where_nothing_comes_back_they_wait_for_the_family_s_own_stage(
    stopwatch: Stopwatch, clock: Clock
) -> None:
    found = waits({"anomaly": Lane(3)}, stopwatch, clock)
    clock.now = 2.0
    found.look()
    assert waiting(found.report()) == {wait_for("anomaly"): 2.0}  # none longer than was looked


def test_each_report_is_of_the_time_since_the_one_before(
    stopwatch: Stopwatch, clock: Clock
) -> None:
    lanes = {"tail": Lane(10)}
    found = waits(lanes, stopwatch, clock)
    found.look()
    carry(stopwatch, clock, "tail", 10, model=1.0)
    assert found.report()[wait_for("tail")] == pytest.approx(1.0)
    lanes["tail"].waiting_rows = 0
    found.look()
    carry(stopwatch, clock, "tail", 10, model=1.0)
    assert waiting(found.report()) == {}
