"""The history actor without a cluster: its own class, a real engine, a real Redis."""

import asyncio
import inspect
import os
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from redis.asyncio import Redis

from config_store.shipped import default_document
from config_store.store import ConfigStore
from deployments.api.telemetry import EntityShown
from deployments.history import actor as history_actor
from deployments.history import measured, opening, recorded
from deployments.history.actor import History
from deployments.history.client import ANSWER_SECONDS
from deployments.history.questions import Questions
from deployments.history.recorded import PROOF_SECONDS
from features.telemetry.seen import entities as entities_seen
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.clickhouse.home import known_home
from observability.errors import ArchiveElsewhereError, ClickhouseUnavailableError, ServerTakenError
from observability.exposition import document, merge
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.writer import LedgerWriter
from observability.metrics import GAUGE_RULES
from observability.snapshots import gather
from observability.timeline.event import Event
from observability.timeline.stream import TimelineStream
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS

Make = Callable[[], Any]


@pytest.fixture
def make(redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("BALLAST_HISTORY_DAYS", "1")
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setattr(history_actor, "write_logs", lambda *_: None)  # pytest keeps them
    monkeypatch.setattr(os, "nice", lambda _: 0)
    deployed: Any = History
    plain = deployed.__ray_metadata__.modified_class
    return lambda: object.__new__(plain)


@pytest.fixture
async def actor(make: Make) -> AsyncIterator[Any]:
    opened = make()
    await opened.__init__()
    yield opened
    await opened.close()


async def test_it_drains_and_finds_decisions_and_says_how_its_loops_fare(
    actor: Any, redis: Redis, tmp_path: Path
) -> None:
    decisions = [
        Decision(each, orjson.dumps({"decision_id": each}))
        for each in DecisionIds(time.time, os.urandom).take(3)
    ]
    folder = tmp_path / "spool"
    async with LedgerWriter(redis, writer="w", spool_dir=folder, clock=time.time) as pen:
        await pen.append(decisions)
    rows = {each.decision_id: each.row for each in decisions}
    assert await actor.rows([*rows, "other"]) == (rows, None, ())
    await actor.drain_now()
    assert await actor.rows([*rows, "other"]) == (rows, None, ())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (published := await gather(redis)):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)
    form = document(merge(published.values(), now=time.time(), rules=GAUGE_RULES))
    loops = form["background_last_success_age_seconds"]["samples"]
    names = {"drain the ledger", "drain the timeline", "fill rows by id", "publish metrics"}
    names |= {"apply sources", "store posted telemetry", "tell source states"}
    assert names <= {each["labels"]["loop"] for each in loops}


async def test_a_proof_is_looked_for_no_longer_than_somebody_waits(
    actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def hangs(_: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(actor._recorded._lookup, "proof", hangs)
    assert PROOF_SECONDS < ANSWER_SECONDS
    monkeypatch.setattr(recorded, "PROOF_SECONDS", 0.01)
    with pytest.raises(TimeoutError):
        await actor.proof("01a1f80f-b119-7000-807c-fcbeaee3293f")
    assert ended.is_set()


@pytest.mark.usefixtures("actor")
async def test_it_opens_no_folder_but_the_archives(
    make: Make, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = await known_home(redis)
    assert home is not None
    assert home.folder == str(tmp_path / "history")
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "another node"))
    with pytest.raises(ArchiveElsewhereError, match="which cannot be reached"):
        await make().__init__()
    assert not (tmp_path / "another node" / "history").exists()


async def test_two_platforms_do_not_write_into_one_server(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", "http://127.0.0.1:8123")
    with EmbeddedClickhouse(tmp_path / "server") as server, monkeypatch.context() as unclosed:
        unclosed.setattr(server, "close", lambda: None)  # a client goes, the server stays
        unclosed.setattr(opening, "open_store", lambda *_: server)
        first = make()
        await first.__init__()
        unclosed.setenv("BALLAST_REDIS_PREFIX", "other:")
        with pytest.raises(ServerTakenError, match="Another platform"):
            await make().__init__()
        await first.close()
        second = make()
        await second.__init__()
        await second.close()


async def test_it_tells_of_entities_what_clients_are_shown(actor: Any, redis: Redis) -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    await ConfigStore(redis).bootstrap(default_document(), "ada", "a start", start)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await actor.filled()
    found = [EntityShown(**each) for each in await actor.entities()]
    assert found
    assert {source for each in found for source in each.sources} == {"demo"}
    assert all(each.cadence_seconds == 60 and each.missing["load"] == 0 for each in found)
    entity, now = found[0].entity, int(time.time())  # as whole as the intervals
    minutes = await actor.series(entity, "load", 86_400, None)
    assert set(np.diff(minutes.ts).tolist()) == {60}
    assert now - 86_400 <= minutes.ts[0]
    hours = await actor.series(entity, "load", 86_400, 3600)
    # The last hour may gain a minute between the two readings.
    within = (minutes.ts >= hours.ts[-2]) & (minutes.ts < hours.ts[-2] + 3600)
    assert hours.values[-2] == pytest.approx(minutes.values[within].mean())


async def test_the_list_of_entities_is_read_once_for_all_who_ask(
    actor: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = entities_seen
    asked: list[Any] = []

    def counted(*args: Any) -> Any:
        asked.append(args)
        return read(*args)

    monkeypatch.setattr(measured, "entities_seen", counted)
    assert await actor.entities() == []
    start = datetime(2026, 3, 2, tzinfo=UTC)
    await ConfigStore(redis).bootstrap(default_document(), "ada", "a start", start)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await actor.filled()
    first, second = await asyncio.gather(actor.entities(), actor.entities())
    assert first == second != []  # what is measured first is shown at once
    assert len(asked) == 2
    actor._measured._entities_until = 0.0  # later
    assert await actor.entities()
    assert len(asked) == 3


def test_the_actor_answers_each_question_as_its_askers_believe() -> None:
    deployed: Any = History
    plain = deployed.__ray_metadata__.modified_class
    questions = inspect.getmembers(Questions, inspect.iscoroutinefunction)
    assert len(questions) > 5
    for name, question in questions:
        answers = getattr(plain, name)
        assert inspect.iscoroutinefunction(answers), name
        signature = inspect.signature(answers)
        # Ray puts one of its own behind them.
        own = [each for each in signature.parameters.values() if not each.name.startswith("_ray")]
        assert signature.replace(parameters=own) == inspect.signature(question), name


async def test_one_that_fails_half_way_through_opening_leaves_nothing_open(
    make: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ClickhouseUnavailableError("planted")

    tasks, connections = asyncio.all_tasks(), len(await redis.client_list())
    with monkeypatch.context() as patch:
        patch.setattr(opening, "create_tables", fail)
        with pytest.raises(ClickhouseUnavailableError, match="planted"):
            await make().__init__()
    assert asyncio.all_tasks() == tasks
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await redis.client_list()) > connections:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.005)
    another = make()
    await another.__init__()  # one folder is open once at a time
    await another.close()


async def test_what_another_process_noted_comes_onto_the_timeline(actor: Any, redis: Redis) -> None:
    at = time.time()
    events = [Event("deploy", at + second, "orders", "prod") for second in range(3)]
    await TimelineStream(redis).add(events)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len((page := await actor.timeline(2, kinds=["deploy"])).events) < 2:  # noqa: ASYNC110 - the actor tells nobody
            await asyncio.sleep(0.01)
    assert [each["id"] for each in page.events] == [events[2].id, events[1].id]
    rest = await actor.timeline(2, kinds=["deploy"], entity="orders", before=page.next)
    assert [each["id"] for each in rest.events] == [events[0].id]
    assert rest.next is None
