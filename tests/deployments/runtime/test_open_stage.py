"""A stage is open with all its parts, or not at all."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.store import Version
from deployments.runtime import listener
from deployments.runtime.autoscaling.signals import BUSY, RESERVED, SPARE, WAIT
from deployments.runtime.listener import Listener
from deployments.runtime.open_stage import OpenStage
from deployments.runtime.stage import Stage
from deployments.runtime.storage import StorageWatch
from deployments.runtime.transport import replica_directory
from deployments.runtime.transport.frame import Frame
from observability.background import BackgroundLoop
from tests.deployments.gateway.conftest import stand_in_for_a_cluster
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until


class Echo(Stage[int]):
    """Answers what it is asked, and notes what becomes of it."""

    closed = False
    worked = 0

    async def answer(self, frame: Frame, compiled: int) -> Frame:  # noqa: ARG002 - as all stages
        return frame

    def compile(self, version: Version) -> int:
        return version.number

    def start_work(self) -> list[BackgroundLoop]:
        return [self.replica.loops.start("work", self._work, lambda: 0.01)]

    async def close(self) -> None:
        self.closed = True

    async def _work(self) -> None:
        self.worked += 1


@pytest.fixture(params=["fast", "plain"])
async def cluster(
    redis: Redis,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> str:
    stand_in_for_a_cluster(monkeypatch, tmp_path, redis_server, request.param)
    await House(redis).prepare()
    profile: str = request.param
    return profile


async def only_so_many_connections(redis: Redis, most: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await redis.client_list()) > most:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.005)


async def nobody_listens(at: tuple[str, int]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*at)


async def test_it_works_by_the_active_version_and_closing_ends_everything(
    cluster: str, redis: Redis
) -> None:
    tasks, connections = asyncio.all_tasks(), len(await redis.client_list())
    opened = await OpenStage.opened("tail", Echo)
    stage: Any = opened.stage
    await until(lambda: stage.worked > 1)
    assert stage.versions.active.compiled == 1
    if cluster == "fast":
        at = await opened.where()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await redis.hlen(replica_directory.key(redis)):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
    await opened.close()
    assert stage.closed
    assert asyncio.all_tasks() == tasks
    assert await redis.hlen(replica_directory.key(redis)) == 0
    await only_so_many_connections(redis, connections)
    if cluster == "fast":
        await nobody_listens(at)


@pytest.mark.usefixtures("cluster")
async def test_serve_is_told_of_the_load_on_either_transport() -> None:
    opened = await OpenStage.opened("tail", Echo)
    try:
        told = opened.record_autoscaling_stats()
        metrics = opened.stage.replica.metrics.registry
    finally:
        await opened.close()
    assert {BUSY, WAIT, SPARE, RESERVED} == told.keys()
    labels = {"deployment": "tail"}
    assert metrics.get_sample_value("replica_busy_cores", labels) == told[BUSY]
    assert metrics.get_sample_value("replica_wait_seconds", labels) == told[WAIT]


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("owner", "part"),
    [
        (Echo, "prepare"),  # before the replica opens
        (Echo, "warm"),  # the same
        (StorageWatch, "look"),  # once it follows the configuration
        (Echo, "configure"),  # at its first version
    ],
)
async def test_one_that_fails_half_way_through_opening_leaves_nothing_open(
    owner: Any, part: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, connections = asyncio.all_tasks(), len(await redis.client_list())
    made: list[Echo] = []

    def make(replica: Any) -> Echo:
        made.append(Echo(replica))
        return made[0]

    if part == "configure":  # as long as it waits for a version that it can go by
        monkeypatch.setattr("deployments.runtime.replica.FIRST_CONFIG_SECONDS", 1.0)
    fail = fail_at_once if part == "configure" else fail_later
    monkeypatch.setattr(owner, part, fail)
    with pytest.raises(Exception, match="planted"):
        await OpenStage.opened("tail", make)
    assert made[0].closed
    assert asyncio.all_tasks() == tasks
    await only_so_many_connections(redis, connections)


@pytest.mark.parametrize("cluster", ["fast"], indirect=True)
@pytest.mark.parametrize(("owner", "part"), [(listener, "wire_secret"), (Echo, "start_work")])
async def test_one_that_fails_with_its_port_hangs_up_and_leaves_the_directory(
    cluster: str,  # noqa: ARG001 - it is there
    owner: Any,
    part: str,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks, connections = asyncio.all_tasks(), len(await redis.client_list())
    listening: list[tuple[str, int]] = []
    opened = Listener.opened

    async def note(*parts: Any) -> Listener:
        found = await opened(*parts)
        listening.append(found.address)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await redis.hlen(replica_directory.key(redis)):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
        return found

    monkeypatch.setattr(Listener, "opened", note)
    monkeypatch.setattr(owner, part, fail_at_once if part == "start_work" else fail_later)
    with pytest.raises(ConnectionError, match="planted"):
        await OpenStage.opened("tail", Echo)
    assert len(listening) == (part == "start_work")
    assert asyncio.all_tasks() == tasks
    assert await redis.hlen(replica_directory.key(redis)) == 0
    await only_so_many_connections(redis, connections)
    for at in listening:
        await nobody_listens(at)


async def fail_later(*_: object) -> None:
    raise ConnectionError("planted")


def fail_at_once(*_: object) -> None:
    raise ConnectionError("planted")
