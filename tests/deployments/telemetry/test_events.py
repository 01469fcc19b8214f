"""What changes with a source is on the timeline once, and what goes on is not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deployments.telemetry.events import SILENT_INTERVALS, SourceEvents
from features.telemetry.columns import Telemetry
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from observability.timeline.store import read
from tests.deployments.telemetry.test_followed import rows

NOW, CADENCE = 1_800_000_000, 60


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    with EmbeddedClickhouse(tmp_path / "history") as store:
        create_tables(store)
        yield store


@pytest.fixture
def events(store: EmbeddedClickhouse) -> SourceEvents:
    return SourceEvents("prom", store, lambda: NOW)


def seen(store: EmbeddedClickhouse) -> list[tuple[str, str]]:
    return [(each["kind"], each["entity"]) for each in reversed(read(store, 100).events)]


def at(ts: int, *entities: str, deploy: bool = False) -> Telemetry:
    columns = rows(np.full(len(entities), ts, dtype=np.int64)).columns()
    columns["entity"] = np.array(entities)
    columns["deploy"] = np.full(len(entities), deploy, dtype=np.int8)
    return Telemetry(**columns)


async def test_an_entity_appears_once_and_falls_silent_once(
    store: EmbeddedClickhouse, events: SourceEvents
) -> None:
    events.know({"old": NOW - CADENCE, "gone": NOW - 86_400}, CADENCE)
    for at_minute in range(10):
        ts = NOW + at_minute * CADENCE
        present = ("old", "new") if at_minute < 2 else ("old",)
        await events.rows(at(ts, *present), CADENCE, newest=True)
    assert seen(store) == [("entity_appeared", "new"), ("entity_silent", "new")]
    (silent, _) = read(store, 100).events
    assert silent["time"].timestamp() == NOW + CADENCE + SILENT_INTERVALS * CADENCE
    await events.rows(at(NOW + 20 * CADENCE, "old", "new"), CADENCE, newest=True)
    assert len(seen(store)) == 2


async def test_deploys_of_the_past_count_and_its_entities_do_not_appear(
    store: EmbeddedClickhouse, events: SourceEvents
) -> None:
    past = at(NOW - 86_400, "shop", deploy=True)
    await events.rows(past, CADENCE, newest=False)
    await events.rows(past, CADENCE, newest=False)
    assert seen(store) == [("deploy", "shop")]


async def test_an_outage_is_one_event_and_its_end_another(
    store: EmbeddedClickhouse, events: SourceEvents
) -> None:
    await events.failed("no route", 1, opened=False)
    assert seen(store) == []
    await events.failed("no route", 3, opened=True)
    await events.failed("no route", 4, opened=True)
    assert sorted(kind for kind, _ in seen(store)) == ["breaker_opened", "source_away"]
    await events.answered()
    await events.answered()
    kinds = sorted(kind for kind, _ in seen(store))
    assert kinds == ["breaker_closed", "breaker_opened", "source_away", "source_back"]
