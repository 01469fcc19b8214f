"""Whether the budget of false alarms holds, for streams and fleets in which nothing ever happens.

There are fewer of each kind than the streams that the budget is for; a rate is that of as many.
What follows the week is news in a stream's first week, and is told so; the budget is to hold after.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.quality import null_fleets
from benchmarks.quality.null_fleets import DIMENSIONS, MEMBERS, METRICS
from benchmarks.quality.null_streams import HELD, MINUTES_A_DAY, TOLD, WEEKLY, Draw
from benchmarks.quality.row import Row
from models.anomaly.alarms import AlarmBank, AlarmSettings, share
from models.anomaly.fleet import FleetLayout
from models.anomaly.streams import AnomalyStreams, RegimeStreams

STREAMS, DAYS, BUDGET = 1_000, 30, 1.0
NULL_STREAMS = 16  # of each kind
FIRST_DAYS = 8
HOUR = 60
Make = Callable[[], Any]
DETECTORS: dict[str, Make] = {
    "regimes": RegimeStreams,
    "rrcf": partial(AnomalyStreams, 1, "rrcf"),
    "isolation forest": partial(AnomalyStreams, 1, "isolation_forest"),
}
FLEET: Make = partial(
    AnomalyStreams, DIMENSIONS, "fleet", roster=FleetLayout.even(MEMBERS, METRICS)
)


def null_month() -> Iterator[Row]:
    """Let 1,000 streams of exchangeable scores run for a month, an observation a minute."""
    rng = np.random.default_rng(1)
    bank = AlarmBank(AlarmSettings())
    slots = np.array([bank.open(seed) for seed in range(STREAMS)])
    spent = share(BUDGET, STREAMS * MINUTES_A_DAY)
    rows = np.tile(slots, HOUR)
    alarms = 0
    for _ in range(DAYS * MINUTES_A_DAY // HOUR):
        scores = rng.standard_normal(STREAMS * HOUR)
        alarms += int(bank.advance(rows, scores, spent).alarm.sum())
    rate = alarms / DAYS
    yield Row("false alarms a day, 1,000 null streams", rate, BUDGET, "at most", rate <= BUDGET)
    for name, make in DETECTORS.items():
        yield from _of_detector(name, make, HELD, TOLD)
        yield from _of_weeks(name, make, WEEKLY)
    yield from _of_detector("fleet", FLEET, null_fleets.HELD, {})
    yield from _of_weeks("fleet", FLEET, null_fleets.WEEKLY)


def _of_detector(
    name: str, make: Make, held: dict[str, Draw], to_tell: dict[str, Draw]
) -> Iterator[Row]:
    by_kind = [_month_of(make, draw) for draw in held.values()]
    text = f"false alarms a day, {name}, {len(held)} kinds, a month, per 1,000"
    yield _rate(text, np.concatenate(by_kind, axis=1), ", ".join(held))
    for kind, draw in to_tell.items():
        text = f"false alarms a day, {name}, {kind}, a month, per 1,000"
        yield _rate(text, _month_of(make, draw), "not promised", held=False)


def _of_weeks(name: str, make: Make, kinds: dict[str, Draw]) -> Iterator[Row]:
    for kind, draw in kinds.items():
        rings = _month_of(make, draw)
        text = f"false alarms a day, {name}, {kind}, per 1,000"
        first, rest = rings[: FIRST_DAYS * MINUTES_A_DAY], rings[FIRST_DAYS * MINUTES_A_DAY :]
        yield _rate(f"{text}, first {FIRST_DAYS} days", first, "told as learning", held=False)
        yield _rate(f"{text}, after", rest, "at most")


def _rate(text: str, rings: Any, source: str, *, held: bool = True) -> Row:
    """Give a day's alarms of 1,000 streams, with the standard error over streams."""
    days = len(rings) / MINUTES_A_DAY
    each = rings.sum(axis=0) / days * STREAMS
    error = float(np.std(each, ddof=1)) / math.sqrt(each.size)
    rate = float(each.mean())
    return Row(text, rate, BUDGET, f"{source}; se {error:.1f}", not held or rate <= BUDGET)


def _month_of(make: Make, draw: Draw) -> Any:
    values = draw(DAYS * MINUTES_A_DAY, NULL_STREAMS, np.random.default_rng(7))
    return alarms_of(make(), values, share(BUDGET, STREAMS * MINUTES_A_DAY))


def alarms_of(streams: Any, values: Any, spent: float) -> Any:
    """Advance all streams together, a call for each hour; give (steps, streams) of alarms."""
    steps, count = values.shape[:2]
    slots = np.array([streams.open(seed) for seed in range(count)])
    rings = np.zeros((steps, count), dtype=bool)
    for i in range(0, steps, HOUR):
        part = values[i : i + HOUR]
        rows = len(part) * count
        told = streams.advance(np.tile(slots, len(part)), part.reshape(rows, -1), spent)
        ring = told.alarm if isinstance(streams, RegimeStreams) else told.is_anomaly
        rings[i : i + HOUR] = ring.reshape(len(part), count)
    return rings
