"""The series that are kept of telemetry: as many as stated, those asked for last, read anew."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from deployments.tail.extremes import metrics
from deployments.tail.extremes.metrics import FORGOTTEN_SECONDS, MetricSeries, Wanted

MOST = 20


class History:
    """The history actor, asked for a metric; it can hang, and be away."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.away = False
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    async def ask(self, question: object, entity: str, name: str, minutes: int) -> Any:
        assert question is Questions.metric
        assert (name, minutes) == ("p99_ms", metrics.MINUTES)
        await self._goes_on.wait()
        if self.away:
            raise HistoryAwayError("The history is starting again: try again")
        self.read.append(entity)
        return np.full(10, float(len(self.read)))

    @contextmanager
    def hanging(self) -> Iterator[None]:
        self._goes_on.clear()
        yield
        self._goes_on.set()


@pytest.fixture
async def history(monkeypatch: pytest.MonkeyPatch) -> History:
    found = History()
    monkeypatch.setattr(metrics, "ask", found.ask)
    monkeypatch.setattr(metrics, "MOST_SERIES", MOST)
    return found


def named(first: int, last: int) -> list[Wanted]:
    return [(f"entity-{at}", "p99_ms") for at in range(first, last)]


async def test_series_pushed_out_while_another_is_read_end_no_round(history: History) -> None:
    series = MetricSeries(lambda: 100_000.0)
    await series.get(named(0, MOST))
    history.read.clear()
    with history.hanging():
        round_ = asyncio.create_task(series.refresh())
        await asyncio.sleep(0)
        pushing = asyncio.create_task(series.get(named(MOST, MOST + 3)))
        await asyncio.sleep(0)
    await pushing
    await round_
    assert len(history.read) >= 3 + MOST - 3  # the new ones, and what is left of the round


async def test_what_was_asked_for_longest_ago_is_pushed_out(history: History) -> None:
    series = MetricSeries(lambda: 100_000.0)
    await series.get(named(0, MOST))
    await series.get(named(0, 1))
    await series.get(named(MOST, MOST + 1))
    history.read.clear()
    await series.get(named(0, 2))
    assert history.read == ["entity-1"]


async def test_what_could_not_be_read_leaves_nothing_behind(history: History) -> None:
    series = MetricSeries(lambda: 100_000.0)
    history.away = True
    for at in range(100):
        assert await series.get(named(at, at + 1)) == {}
    assert (len(series._series), len(series._asked)) == (0, 0)


async def test_what_nobody_asks_for_is_forgotten(history: History) -> None:
    now = [0.0]
    series = MetricSeries(lambda: now[0])
    await series.get(named(0, 3))
    now[0] = FORGOTTEN_SECONDS
    await series.get(named(0, 1))
    now[0] += 1
    history.read.clear()
    await series.refresh()
    assert history.read == ["entity-0"]
