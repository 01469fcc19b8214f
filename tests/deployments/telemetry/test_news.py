from types import SimpleNamespace
from typing import Any

from deployments.history.questions import PAST_INTERVALS
from deployments.telemetry.followed import Stretch
from deployments.telemetry.news import NewestIntervals, is_filling
from tests.deployments.little_history import MINUTE, telemetry

NOBODY = frozenset[str]()


def test_news_are_told_once_and_older_rows_are_none() -> None:
    desk = NewestIntervals(began=1.0)
    desk.note("prometheus", telemetry("orders", [120, 60], cpu=[0.1, 0.2]), MINUTE, 200_000)
    first = desk.since("", NOBODY)
    assert first is not None
    assert first.newest == {"orders": (120, MINUTE, 200.0, "prometheus")}
    assert desk.since(first.version, NOBODY) is None
    desk.note("prometheus", telemetry("orders", [0], cpu=[0.1]), MINUTE, 300_000)
    second = desk.since(first.version, NOBODY)
    assert second is not None
    assert second.newest == first.newest


def test_a_source_whose_past_has_come_is_news() -> None:
    desk = NewestIntervals(began=1.0)
    filling = desk.since("", frozenset({"prometheus"}))
    assert filling is not None
    done = desk.since(filling.version, NOBODY)
    assert done is not None
    assert not done.filling


def test_what_another_process_told_is_no_news_of_this_one() -> None:
    before = NewestIntervals(began=1.0).since("", NOBODY)
    assert before is not None
    assert NewestIntervals(began=2.0).since(before.version, NOBODY) is not None


def test_entities_that_were_made_up_are_forgotten() -> None:
    desk = NewestIntervals(began=1.0)
    desk.note("demo", telemetry("order-gateway", [60], cpu=[0.1]), MINUTE, 100_000)
    desk.forget(["order-gateway", "nobody"])
    news = desk.since("", NOBODY)
    assert news is not None
    assert news.newest == {}


def test_a_past_is_waited_for_until_it_is_long_enough_or_there_is_no_more() -> None:
    now = 1_772_461_740

    def followed(share: float, oldest: int | None) -> Any:
        stretch = None if oldest is None else Stretch(oldest, now)
        return SimpleNamespace(past_share=share, stretch=stretch, cadence_seconds=MINUTE)

    assert is_filling(followed(0.0, None), now)
    assert is_filling(followed(0.5, now - 600), now)
    assert not is_filling(followed(0.5, now - PAST_INTERVALS * MINUTE), now)
    assert not is_filling(followed(1.0, now - 600), now)
