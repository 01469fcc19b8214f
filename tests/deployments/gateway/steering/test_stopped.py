"""What was stopped while others went on looks at what holds now before it answers again.

A test stands still as a process does that is stopped: nothing is awaited between what others do
meanwhile, in a thread with a loop of its own, and the question.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from access.keys import Principal, Role
from config_store.steering import watch as watch_module
from config_store.steering.commands import AddOverride, Command, Deploy
from config_store.steering.state import Strategy
from config_store.steering.store import SteeringStore
from config_store.steering.watch import STOPPED_SECONDS, SteeringWatch
from deployments.api.tail import TailBody
from deployments.gateway.steering import following
from deployments.runtime.batch import Judgement
from settings.redis_connection import open_redis
from tests.deployments.gateway.rollouts import ADA, Operator
from tests.deployments.gateway.told_apart import at_step
from tests.deployments.house import House
from tests.deployments.safety.test_steered import batch
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

WHO = Principal("k", Role.CLIENT)
Meanwhile = Callable[[SteeringWatch, Command], None]


@pytest.fixture
def meanwhile(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Give what stops one process for long enough, in which others carry out a command."""
    for module in (watch_module, following):
        monkeypatch.setattr(module, "LOOKS_WITHIN_SECONDS", PATIENCE_SECONDS)

    async def change(command: Command) -> None:
        async with open_redis(redis_server.url) as redis:
            await SteeringStore(redis).change(command, ADA, time.time())

    def stop(watch: SteeringWatch, command: Command) -> None:
        in_a_thread(lambda: change(command))
        monkeypatch.setattr(watch, "_clock", lambda: time.monotonic() + 2 * STOPPED_SECONDS)

    return stop


def in_a_thread(work: Callable[[], Awaitable[None]]) -> None:
    async def act() -> None:
        await work()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, act()).result()


async def version_of(house: House) -> int:
    lanes = house.context.lanes
    (answer,) = await lanes.ask("tail", [TailBody(entity="e", load=0.5)], WHO, lanes.now(), "r")
    number: int = orjson.loads(answer.envelope)["meta"]["config_version"]
    return number


async def test_a_gateway_that_was_stopped_answers_by_what_others_switched_to(
    house: House, meanwhile: Meanwhile
) -> None:
    candidate = await Operator(house).draft(at_step(house.document, 2))
    before = house.answering()
    steering = house.context.replica.steering
    assert not steering.was_stopped
    meanwhile(steering, Deploy(candidate, Strategy.BLUE_GREEN, "meanwhile", before))
    assert (house.answering(), steering.was_stopped) == (before, True)
    assert await version_of(house) == candidate
    assert not steering.was_stopped


async def test_a_safety_replica_that_was_stopped_goes_by_the_overrides_of_now(
    house: House, meanwhile: Meanwhile
) -> None:
    (safety,) = house.replicas["safety"]
    compiled, asked = safety.versions.active.compiled, batch().to_frame()
    ends = time.time() + 600
    forty = AddOverride("o", "tail", "autoscale_workers", 40.0, "a listing", ends)
    meanwhile(safety.replica.steering, forty)
    found = Judgement.from_frame(await safety.answer(asked, compiled))
    assert found.overrides == {0: {"autoscale_workers": "o"}}


async def test_one_that_was_stopped_goes_on_by_what_it_knew_where_redis_is_away(
    house: House, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    steering = house.context.replica.steering
    redis_server.kill()
    monkeypatch.setattr(steering, "_clock", lambda: time.monotonic() + 2 * STOPPED_SECONDS)
    assert steering.was_stopped
    assert await version_of(house) == house.answering()
    await until(lambda: not steering.was_stopped)
    redis_server.start()
