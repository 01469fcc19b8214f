"""The streams of telemetry as the feeder uses them: a slice at a time, and requests in between."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from config_store.document import StreamsConfig
from deployments.anomaly.operations import ObserveNumbers
from deployments.anomaly.stream import Stream
from deployments.anomaly.telemetry.handler import EvenBudget
from deployments.anomaly.telemetry.keys import KIND, key_of, parts_of
from deployments.anomaly.telemetry.rows import MOST_TOGETHER, Row
from deployments.runtime.batch import Batch, Detail, Prediction
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.operations import Delete
from deployments.runtime.state.service import KeyedService
from features.telemetry.judged import JudgedMetric
from observability.ledger.decision import DecisionIds
from observability.timeline.event import Event

# A slice holds a replica's loop up for some milliseconds; for three times as long requests have it.
SLICE_ROWS = 16
REST_TIMES = 3.0


class JudgedSlice(NamedTuple):
    """A slice: its rows, what is said of each (None: it was not written down), and the alarms."""

    rows: Sequence[Row]
    said: Sequence[JudgedMetric | None]
    events: Sequence[Event]


class TelemetryKeys:
    """One replica's way to them."""

    def __init__(
        self,
        service: KeyedService[Stream],
        log: KeyLog,
        budget: EvenBudget,
        ids: DecisionIds,
        monotonic: Callable[[], float],
    ) -> None:
        self._service = service
        self._log = log
        self._budget = budget
        self._ids = ids
        self._monotonic = monotonic

    async def entities(self) -> list[str]:
        """Name the entities that have streams."""
        return sorted({parts_of(key)[0] for key in await self._log.every_name()})

    async def keep(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Delete the streams of all other metrics and entities."""
        names = [(key, *parts_of(key)) for key in await self._log.every_name()]
        gone = [key for key, entity, metric in names if metric not in wanted.get(entity, ())]
        for at in range(0, len(gone), SLICE_ROWS):
            keys = gone[at : at + SLICE_ROWS]
            await self._ask(keys, [Delete(op="delete")] * len(keys), StreamsConfig())

    async def take(
        self, rows: Iterable[Row], streams: StreamsConfig, count: int
    ) -> AsyncIterator[JudgedSlice]:
        """Put rows in, each once however often it comes; `count` streams share the budget."""
        for cadence_seconds, some in _slices(rows):
            self._budget.spread(streams.telemetry.alarms_per_day, count, cadence_seconds)
            keys = [key_of(each.entity, each.metric) for each in some]
            found = await self._ask(keys, [_observe(each) for each in some], streams)
            details = found.details
            said = [
                None if at in found.refusals else _judged(each, details[at])
                for at, each in enumerate(some)
            ]
            alarms = [
                event
                for each, detail in zip(some, details, strict=True)
                for event in _alarms(each, detail)
            ]
            yield JudgedSlice(some, said, alarms)

    async def _ask(
        self, keys: Sequence[str], asks: Sequence[Any], streams: StreamsConfig
    ) -> Prediction:
        batch = Batch(KIND, list(keys), {}, list(asks), list(keys), self._ids.take(len(keys)))
        began = self._monotonic()
        found = await self._service.answer(batch, "", "", streams)
        await asyncio.sleep(REST_TIMES * (self._monotonic() - began))
        return found


def _slices(rows: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    """Part rows into slices of one cadence, with no more observations than are soon taken."""
    some, size = list[Row](), 0
    for row in rows:
        full = len(some) == SLICE_ROWS or size + len(row.ts) > MOST_TOGETHER
        if some and (full or row.cadence_seconds != some[0].cadence_seconds):
            yield some[0].cadence_seconds, some
            some, size = [], 0
        some.append(row)
        size += len(row.ts)
    if some:
        yield some[0].cadence_seconds, some


def _observe(row: Row) -> ObserveNumbers:
    return {
        "op": "observe",
        "values": row.values,
        "ts": [float(each) for each in row.ts],
        "cadence": row.cadence_seconds,
    }


def _judged(row: Row, detail: Detail | None) -> JudgedMetric | None:
    if detail is None:
        return None
    data = detail["data"]
    latest = data["latest"]
    return JudgedMetric(
        event_time=int(data["ts"]),
        known_time=row.known,
        cadence_seconds=row.cadence_seconds,
        value=row.values[-1],
        score=latest["score"],
        p_value=latest["p_value"],
        alarm=latest["alarm"],
        change_point=latest["change_point"],
        change_probability=latest["change_probability"],
        run_length=latest["run_length"],
        regime=latest["start"],
        since=latest["began"],
        mean=latest["mean"],
        sd=latest["sd"],
        observations=data["observations"],
        missing=data["missing"],
        alarms=data["alarms"],
        segments=data["segments"],
    )


def _alarms(row: Row, detail: Detail | None) -> list[Event]:
    """Give the alarms of a row's intervals, also of one that was taken before."""
    latest = [] if detail is None else detail["data"]["latest_alarms"]
    return [
        Event(
            "alarm",
            alarm["at"],
            row.entity,
            details={
                "metric": row.metric,
                "value": alarm["value"],
                "p_value": alarm["p_value"],
                "change_probability": alarm["change_probability"],
            },
        )
        for alarm in latest
        if row.ts[0] <= alarm["at"] <= row.ts[-1]
    ]
