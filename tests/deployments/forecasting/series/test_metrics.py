from typing import Any

import numpy as np
import pytest

from deployments.forecasting.series import metrics
from deployments.forecasting.series.metrics import FRESH_SECONDS, MetricHistories, Wanted
from deployments.history.client import HistoryAwayError
from deployments.history.questions import MetricSteps, Questions

DAY = 86_400
P99 = Wanted("auth", "p99_ms", None)


class History:
    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int | None]] = []
        self.away = False

    async def ask(self, question: object, entity: str, _: str, *args: Any) -> MetricSteps:
        assert question is Questions.series
        if self.away:
            raise HistoryAwayError("The history is starting again: try again")
        self.asked.append((entity, *args))
        return MetricSteps(np.arange(3), np.full(3, float(len(self.asked))))


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    found = History()
    monkeypatch.setattr(metrics, "ask", found.ask)
    monkeypatch.setattr(metrics, "MOST_KEPT", 3)
    return found


async def test_it_is_read_again_once_a_new_value_may_be_there(history: History) -> None:
    now = 1000.0
    kept = MetricHistories(lambda: now)
    first = (await kept.get([P99, P99]))[P99]
    assert len(history.asked) == 1
    now += FRESH_SECONDS - 1
    assert (await kept.get([P99]))[P99] is first
    now += 1
    assert (await kept.get([P99]))[P99].values[0] == 2


async def test_while_the_history_is_away_what_was_read_goes_on(history: History) -> None:
    now = 1000.0
    kept = MetricHistories(lambda: now)
    first = (await kept.get([P99]))[P99]
    history.away, now = True, now + 100
    other = P99._replace(entity="orders")
    assert await kept.get([P99, other]) == {P99: first}


async def test_only_so_many_are_kept_and_those_of_late(history: History) -> None:
    kept = MetricHistories(lambda: 1000.0)
    names = [P99._replace(entity=f"e{at}") for at in range(4)]
    assert len(await kept.get(names)) == 4
    await kept.get(names[1:])
    assert len(history.asked) == 4
    await kept.get(names[:1])
    assert len(history.asked) == 5


@pytest.mark.parametrize(
    ("frequency", "days", "step"),
    [(None, 60, None), ("5m", 60, 300), ("1h", 62.5, 3600), ("1d", 800, DAY), ("1w", 800, 7 * DAY)],
)
async def test_longer_steps_reach_further_back(
    history: History, frequency: str | None, days: float, step: int | None
) -> None:
    await MetricHistories(lambda: 0.0).get([P99._replace(frequency=frequency)])
    assert history.asked == [("auth", int(days * DAY), step)]
