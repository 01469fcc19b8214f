import asyncio
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from access.key_store import KeyStore
from access.keys import KeyRing, Role
from config_store.errors import NothingLoadedError
from config_store.quotas import QuotaChange, QuotasConfig
from deployments.api.errors import UnavailableError
from deployments.gateway import context
from deployments.runtime.replica import Replica
from deployments.runtime.storage import StorageWatch
from deployments.runtime.transport import replica_directory
from deployments.runtime.transport.replica_directory import DirectoryEntry
from deployments.stages import STAGES
from observability.ledger.writer import LedgerWriter
from tests.deploying import deployed
from tests.deployments.gateway.conftest import stand_in_for_a_cluster
from tests.deployments.house import PATH, House, document_with, opened, server_of
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

BODY = {"entity": "order-gateway", "load": 0.5}


async def lasting() -> set[asyncio.Task[Any]]:
    """Give the tasks that go on, but those in which a round only waits: they are ever new ones."""
    now = asyncio.all_tasks()
    await asyncio.sleep(0.2)
    waits = {t for t in now if getattr(t.get_coro(), "__qualname__", "") == "Event.wait"}
    return {task for task in now - waits if not task.done()}


async def test_closing_ends_every_task_and_every_connection(house: House, redis: Redis) -> None:
    """Open a second house beside the first: what it leaves behind would show."""
    connected = []
    for _ in range(8):  # on a slow machine it goes on opening some for a while
        tasks = await lasting()
        async with opened(redis) as second:
            await second.ask(BODY)
            assert await lasting() - tasks
            wires = [server_of(opened) for each in second.open.values() for opened in each]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await lasting() - tasks:  # a step of the first house may last as long, and ends
                pass
        assert not any(wire._connections for wire in wires)
        await house.ask(BODY)
        connected.append(len(await redis.client_list()))
    # The first house may open some more now and then; what stayed open would do so every time.
    assert any(later <= earlier for earlier, later in pairwise(connected))


async def test_a_gateway_notes_its_spools_until_it_closes(house: House, redis: Redis) -> None:
    async def noted() -> int:
        found: int = await redis.hlen("ballast:ledger:spools")
        return found

    await house.context.replica.loops.stop(*house.context._noting)
    await house.context.spools.leave()
    assert await noted() == 0
    async with opened(redis):
        assert await noted() == 1
    assert await noted() == 0


async def test_a_gateway_finds_a_replica_that_serve_does_not_name_until_it_closes(
    house: House,
) -> None:
    await house.start("tail")
    late = house.open["tail"].pop()
    house.directories["tail"].addresses.remove(await late.where())
    exchange: Any = house.context.hops.transports["tail"]
    await until(lambda: len(exchange.alive()) == 2)
    house.replicas["tail"].remove(late.stage)
    await late.close()
    await until(lambda: len(exchange.alive()) == 1)
    assert await house.redis.hlen(replica_directory.key(house.redis)) == len(STAGES)


async def test_a_gateway_keeps_no_connection_to_another_stage_at_an_address_of_the_past(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port of a replica that died may be another stage's by the time it is tried."""
    (safety,), (tail,) = house.open["safety"], house.open["tail"]
    server = server_of(safety)
    tried: list[Any] = []
    came = server.came

    def count(connection: Any) -> None:
        tried.append(connection)
        came(connection)

    monkeypatch.setattr(server, "came", count)
    other = await safety.where()
    exchange: Any = house.context.hops.transports["tail"]
    await DirectoryEntry(house.redis, "tail", other, time.time).sign()
    await until(lambda: len(tried) > 1 or other in exchange.alive())
    assert set(exchange.alive()) == {await tail.where()}
    assert (await house.ask(BODY))[0]["meta"]["degraded"] is False


async def test_a_gateway_that_is_open_admits_good_keys_from_its_first_request(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = KeyStore.ring

    async def load_slowly(store: KeyStore) -> KeyRing:
        await asyncio.sleep(0.2)
        return await load(store)

    monkeypatch.setattr(KeyStore, "ring", load_slowly)
    async with opened(house.redis) as second, second.client() as client:
        assert (await client.post("/models/tail-slo", json=BODY)).status_code == 200


async def test_a_newer_version_that_comes_while_a_gateway_opens_is_what_it_goes_by(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = QuotaChange(requests_per_second=0.1, burst_seconds=10)
    quotas = QuotasConfig(roles={Role.CLIENT: one})
    start = LedgerWriter.start

    opening: list[Replica] = []

    def note(role: str) -> Replica:
        opening.append(Replica(role))
        return opening[-1]

    def has_the_second() -> bool:
        (replica,) = opening
        return replica.config.value is not None and replica.config.value.number == 2

    async def start_as_a_version_comes(ledger: LedgerWriter) -> None:
        await start(ledger)
        await house.deploy(house.document.model_copy(update={"quotas": quotas}))
        await until(has_the_second)

    monkeypatch.setattr(context, "Replica", note)
    monkeypatch.setattr(LedgerWriter, "start", start_as_a_version_comes)
    second = House(house.redis)
    second.keys, second.directories = house.keys, house.directories
    await second.open_gateway()
    async with second.client() as client:
        statuses = [(await client.post(PATH, json=BODY)).status_code for _ in range(2)]
    await second.close()
    assert statuses == [200, 429]


async def fail(*_: object) -> None:
    raise ConnectionError("planted")


@pytest.mark.parametrize(
    ("owner", "part"),
    [
        (StorageWatch, "look"),  # once the replica follows the configuration
        (context, "wire_secret"),  # once the replica is open
        (KeyStore, "ring"),  # once the transports look for replicas: there are no keys
        (LedgerWriter, "start"),  # last of all
    ],
)
@pytest.mark.parametrize("profile", ["fast", "plain"])
async def test_a_gateway_that_fails_half_way_through_opening_leaves_nothing_open(
    owner: Any,
    part: str,
    profile: str,
    redis: Redis,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in_for_a_cluster(monkeypatch, tmp_path, redis_server, profile)
    bare = House(redis)
    await bare.prepare()
    tasks, connections = asyncio.all_tasks(), len(await redis.client_list())
    monkeypatch.setattr(owner, part, fail)
    monkeypatch.setattr(context, "FIRST_CONFIG_SECONDS", 0.2)
    with pytest.raises((ConnectionError, NothingLoadedError)):
        await bare.open_gateway()
    assert asyncio.all_tasks() == tasks
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await redis.client_list()) > connections:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.005)


async def test_a_gateway_that_fails_last_of_all_hangs_up_on_the_replicas_that_it_found(
    redis: Redis, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_for_a_cluster(monkeypatch, tmp_path, redis_server, "fast")
    bare = House(redis)
    await bare.prepare()
    await bare.start("safety")
    (safety,) = bare.open["safety"]
    connections = server_of(safety)._connections

    async def fail_once_connected(_: LedgerWriter) -> None:
        await until(lambda: len(connections) == 1)
        raise ConnectionError("planted")

    monkeypatch.setattr(LedgerWriter, "start", fail_once_connected)
    with pytest.raises(ConnectionError, match="planted"):
        await bare.open_gateway()
    await until(lambda: not connections)
    await safety.close()


async def test_closing_answers_what_waits_and_writes_it_down(redis: Redis, house: House) -> None:
    async with opened(redis) as second:
        asked = [asyncio.create_task(second.ask(BODY | {"load": at / 100})) for at in range(40)]
        await until(lambda: second.context.lanes.by_family["tail"].waiting_rows > 0)
    answers = [answer for (answer,) in await asyncio.gather(*asked)]
    written = {row["decision_id"]: row["answer"] for row in await house.ledger()}
    assert [written[answer["meta"]["decision_id"]] for answer in answers] == answers


async def test_a_configuration_that_does_not_fit_changes_nothing(
    house: House, redis: Redis
) -> None:
    before, store = house.context.active(), house.context.configs
    await redis.set(store.active_key, 4711)
    await redis.publish(store.channel, "activated 4711")
    await until(lambda: house.context.degraded)
    assert house.context.active() is before
    (answer,) = await house.ask(BODY)
    assert (answer["meta"]["config_version"], answer["meta"]["degraded"]) == (1, True)
    await redis.set(store.active_key, 1)
    await redis.publish(store.channel, "activated 1")
    await until(lambda: not house.context.degraded)


async def test_commands_and_the_watch_share_what_was_read(house: House) -> None:
    """A store keeps the state that it parsed last: two of them parse each change twice."""
    assert house.context.changes.steering is house.context.replica.steering.store


async def test_what_is_active_is_what_rows_are_answered_by(house: House, redis: Redis) -> None:
    """A pointer that is heard of before the state that moved it changes nothing."""
    context, lane = house.context, house.context.lanes.by_family["tail"]
    before = lane.limits
    await context.replica.steering.stop()
    serving = house.document.serving.tail
    limits = serving.lane.model_copy(update={"max_waiting_rows": 77})
    number = await deployed(redis, document_with(house.document, lane=limits))

    def heard() -> bool:
        version = context.replica.config.value
        return version is not None and version.number == number

    await until(heard)
    assert (house.answering(), context.active().number, lane.limits) == (1, 1, before)
    async with house.client(Role.VIEWER) as client:
        assert (await client.get("/config/active")).json()["version"] == 1
    await context.replica.steering.start()
    await until(lambda: context.active().number == number)
    assert (house.answering(), lane.limits.max_waiting_rows) == (number, 77)


async def test_without_any_configuration_it_says_so(house: House) -> None:
    house.context.replica.config._value = None
    house.context.choice._active = None
    with pytest.raises(UnavailableError, match="No configuration has been loaded"):
        house.context.active()
