"""The timeline in a real engine, held against a list in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observability.clickhouse import Clickhouse
from observability.schema import create_tables
from observability.timeline.event import Detail, Event
from observability.timeline.store import append, read

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
AT = START.timestamp()


def test_an_event_comes_back_as_it_was_given(either: Clickhouse) -> None:
    create_tables(either)
    details: dict[str, Detail] = {
        "reason": "it's\tdown\n\\N",
        "failures": 3,
        "share": 0.25,
        "again": True,
        "was": None,
    }
    event = Event("source_away", AT + 0.123, "órders", "prod", details)
    append(either, [event], AT + 1.5)
    (found,) = read(either, 10).events
    assert found == {
        "id": event.id,
        "time": START + timedelta(milliseconds=123),
        "known": START + timedelta(seconds=1.5),
        "kind": "source_away",
        "entity": "órders",
        "source": "prod",
        "summary": "The source prod does not answer: it's\tdown\n\\N",
        "details": details,
    }


def test_an_event_that_is_appended_again_stays_one_and_known_since_the_first_time(
    store: Clickhouse,
) -> None:
    event = Event("deploy", AT, "orders", "prod")
    for known in (5, 1, 9):
        append(store, [event], AT + known)
    (found,) = read(store, 10).events
    assert found["known"] == START + timedelta(seconds=1)
    store.execute("OPTIMIZE TABLE timeline FINAL")
    assert store.query("SELECT count() AS n FROM timeline") == [{"n": 1}]
    assert read(store, 10).events == [found]


def test_nothing_appended_is_nothing_read(store: Clickhouse) -> None:
    append(store, [], AT)
    assert read(store, 10) == ([], None)


def test_a_place_that_no_page_gave_is_refused(store: Clickhouse) -> None:
    with pytest.raises(ValueError, match="give the `next` of a page"):
        read(store, 10, before="yesterday")


EVENTS = st.builds(
    Event,
    kind=st.sampled_from(["deploy", "restart"]),
    # Many at one millisecond, so that pages end between them.
    time=st.integers(0, 6).map(lambda at: AT + at / 1000),
    entity=st.sampled_from(["orders", "quotes"]),
    details=st.fixed_dictionaries({"n": st.integers(0, 3)}),
)
MOMENTS = st.none() | st.integers(-1, 8).map(lambda at: START + timedelta(milliseconds=at))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    inserts=st.lists(st.lists(EVENTS, max_size=12), min_size=1, max_size=3),
    since=MOMENTS,
    until=MOMENTS,
    kinds=st.sets(st.sampled_from(["deploy", "restart"])),
    entity=st.sampled_from([None, "orders", "nobody"]),
    limit=st.integers(1, 5),
)
def test_pages_give_each_event_that_was_asked_for_once_newest_first(
    store: Clickhouse,
    inserts: list[list[Event]],
    since: datetime | None,
    until: datetime | None,
    kinds: set[str],
    entity: str | None,
    limit: int,
) -> None:
    store.execute("TRUNCATE TABLE timeline")
    for events in inserts:
        append(store, events, AT)
    every = {each.id: each for events in inserts for each in events}
    expected = [
        each.id
        for each in sorted(every.values(), key=lambda it: (it.time_ms, it.id), reverse=True)
        if since is None or each.time_ms >= since.timestamp() * 1000
        if until is None or each.time_ms < until.timestamp() * 1000
        if not kinds or each.kind in kinds
        if entity is None or each.entity == entity
    ]
    window: dict[str, Any] = {"since": since, "until": until, "entity": entity}
    found: list[str] = []
    page = read(store, limit, kinds=sorted(kinds), **window)
    found += [each["id"] for each in page.events]
    while page.next is not None:
        assert len(page.events) == limit
        page = read(store, limit, kinds=sorted(kinds), before=page.next, **window)
        assert page.events
        found += [each["id"] for each in page.events]
    assert found == expected


def test_a_page_reads_no_more_of_the_table_than_it_must(store: Clickhouse) -> None:
    many = [Event("deploy", AT + second, "orders") for second in range(30_000)]
    append(store, many, AT)
    page = read(store, 1)
    assert page.next is not None
    place = int(page.next.partition("_")[0])
    assert place == many[-1].time_ms
    far = f"{many[5].time_ms}_{'f' * 32}"
    found = read(store, 100, before=far)
    assert [each["time"].timestamp() for each in found.events] == [AT + n for n in range(5, -1, -1)]
