"""The simulation finds no fault in steering, and every fault that is planted."""

import logging
from collections import Counter
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from tests.config_store.simulation.__main__ import run_some
from tests.config_store.simulation.invariants import ViolationError
from tests.config_store.simulation.mistakes import MISTAKES, Plant
from tests.config_store.simulation.real_redis import contents_of
from tests.config_store.simulation.simulated_redis import SimulatedRedis
from tests.config_store.simulation.world import run_schedule
from tests.effort import tries
from tests.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("quiet")

SEED = 7
SCHEDULES = tries(300, 5000)
MOST_FOR_A_MISTAKE = 400
REPLAYED = tries(20, 200)
# What a good schedule is about must happen in them, or they show nothing; in one of so many.
HAPPENS = {
    2: (
        "made: Deploy",
        "switches of the active version",
        "crashes",
        "connections that broke",
        "notices that were lost",
        "kills of Redis",
    ),
    8: (
        "begun: canary",
        "begun: rolling",
        "made: Judge",
        "made: Advance",
        "made: Approve",
        "made: Expire",
        "made: EmergencyOn",
        "made: EmergencyOff",
        "made: AddOverride",
        "documents that were spoilt",
        "gateways of another release",
        "losses of a second",
    ),
    40: (
        "begun: shadow",
        "made: Abort",
        "made: AddFreeze",
        "made: TakeLock",
        "made: Wait",
        "made: Withdraw",
        "drafts too many",
        "states restored",
    ),
    100: ("finished: canary", "finished: rolling"),
}


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep to itself what gateways log of documents that are gone: it is their daily bread here."""
    caplog.set_level(logging.CRITICAL)


def test_no_schedule_breaks_an_invariant() -> None:
    counts: Counter[str] = Counter()
    for number in range(SCHEDULES):
        counts += run_schedule(SEED, number).counts
    seldom = {
        name: counts[name]
        for one_in, names in HAPPENS.items()
        for name in names
        if counts[name] * one_in < SCHEDULES
    }
    assert not seldom, counts


def test_a_seed_reproduces_a_schedule() -> None:
    one, again, other = (run_schedule(SEED, number).trace for number in (3, 3, 4))
    assert one == again
    assert one != other


@pytest.mark.parametrize("plant", MISTAKES.values(), ids=MISTAKES)
def test_a_planted_mistake_is_found(plant: Plant) -> None:
    with plant(), pytest.raises(ViolationError, match=f"schedule [0-9]+ of seed {SEED}"):
        run_some(SEED, 0, MOST_FOR_A_MISTAKE)


async def test_the_redis_in_memory_answers_as_a_real_one(redis_server: RedisServer) -> None:
    client = redis_server.patient_client()
    async with client:
        for number in range(REPLAYED):
            world = run_schedule(SEED, number)
            if not world.counts["losses of a second"]:
                await client.flushall()
                await replay(client, world.redis)


async def replay(client: Redis, simulated: SimulatedRedis) -> None:
    """Ask the real one what the simulated one was asked, and hold the answers side by side."""
    store, configs = SteeringStore(client), ConfigStore(client)
    reader = store._reader
    for name, asked, answered in simulated.log:
        match name:
            case "publish":
                await client.hset(configs.versions_key, str(answered), asked)
            case "activate":
                await client.set(configs.active_key, asked)
            case "remove":
                await client.hdel(configs.versions_key, str(asked))
            case "spoil":
                await client.hset(store.key, "state", asked)
            case "document":
                assert await client.hget(configs.versions_key, str(asked[0])) == answered
            case "read":
                found = await reader._read(keys=reader._keys, args=asked)
                assert known(found) == known(answered)
            case "change":
                given = orjson.loads(asked[0]) | {"latest": 1e12}  # its time is another
                args = [orjson.dumps(given), *asked[1:]]
                assert await store._change(keys=store._keys, args=args) == answered
    assert await contents_of(client) == simulated.contents


def known(answer: list[Any]) -> list[Any]:
    """Give an answer of READ without its clock, and with the headers read."""
    return [*answer[:5], [orjson.loads(each) for each in answer[5]], answer[7]]
