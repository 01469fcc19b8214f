"""What safety replicas tell each other through Redis: counts, emergencies, last safe answers."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from access.keys import Role
from config_store.shipped import default_document
from config_store.steering.commands import Actor, EmergencyOff
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from deployments.safety.deployment import Safety
from deployments.safety.judge import Judge
from deployments.safety.memories import Memories
from safety.emergency import CriticalRule, EmergencyRules
from safety.tail import tail_policy
from settings.redis_connection import REDIS_AWAY
from tests.deployments.safety.conftest import LittleReplica
from tests.deployments.safety.test_steered import batch, prepared, rungs
from tests.redis_server import RedisServer

ADMIN = Actor("grace", Role.ADMIN)
RULES = EmergencyRules(critical=CriticalRule(count=4, seconds=60))


async def replicas(redis: Redis, count: int) -> list[tuple[Safety, LittleReplica, Judge]]:
    made = datetime(2026, 3, 2, tzinfo=UTC)
    await ConfigStore(redis).bootstrap(default_document(), "ada", "a start", made)
    found = []
    for _ in range(count):
        replica = LittleReplica(redis)
        stands_in: Any = replica
        safety = Safety(stands_in)
        safety._emergencies.configure(RULES)
        found.append((safety, replica, prepared(safety)))
    return found


async def know(redis: Redis, *everybody: LittleReplica) -> None:
    """Do what the watch of each replica does at a notice."""
    state = await SteeringStore(redis).read()
    for each in everybody:
        each.steering.value = state


async def test_a_rule_counts_over_all_replicas_and_is_told_to_all(redis: Redis) -> None:
    (one, at_one, judge), (two, at_two, _) = await replicas(redis, 2)
    for each in (one, two):
        each.judge(batch(2, p99_pred=np.nan), judge)
        await each._emergencies.step()
    assert one._emergencies.now() is None  # it looked before the other one had counted
    assert two._emergencies.now() is not None
    await know(redis, at_one, at_two)
    emergency = one._emergencies.now()
    assert emergency is not None
    assert (emergency.rule, emergency.by) == ("critical", "the safety rules")
    await SteeringStore(redis).change(EmergencyOff("it is mended"), ADMIN, at_one.clocks.now + 1)
    await know(redis, at_one, at_two)
    # What the other one has written of before counts no more, whoever looks first.
    for each in (one, two, one):
        await each._emergencies.step()
        assert each._emergencies.now() is None


@pytest.mark.parametrize("written", ["{", "[1]", '{"at": 1}', '{"at": 9e99, "tallies": [[1]]}'])
async def test_what_another_release_wrote_keeps_no_rule_from_being_asked(
    redis: Redis, written: str
) -> None:
    ((safety, _, judge),) = await replicas(redis, 1)
    await redis.hset("ballast:safety:counts", "another", written)
    safety.judge(batch(4, p99_pred=np.nan), judge)
    await safety._emergencies.step()
    assert safety._emergencies.now() is not None
    assert (await SteeringStore(redis).read()).emergency is not None


async def test_without_redis_a_rule_turns_it_on_here_and_later_everywhere(
    redis: Redis, redis_server: RedisServer
) -> None:
    (one, at_one, judge), (two, at_two, _) = await replicas(redis, 2)
    redis_server.kill()
    one.judge(batch(4, p99_pred=np.nan), judge)
    with pytest.raises(REDIS_AWAY):
        await one._emergencies.step()
    assert rungs(one.judge(batch(), judge)) == ["baseline"]
    assert rungs(two.judge(batch(), judge)) == ["model"]
    redis_server.start()
    await one._emergencies.step()
    await know(redis, at_one, at_two)
    assert rungs(two.judge(batch(), judge)) == ["baseline"]


async def test_a_replica_that_starts_reads_the_last_safe_answers_of_the_others(
    redis: Redis,
) -> None:
    (one, _, judge), (two, _, _) = await replicas(redis, 2)
    one.judge(batch(p99_pred=131.0, slo_ms=np.nan), judge)
    asked: dict[str, Any] = {"p99_pred": np.nan, "slo_ms": np.nan}
    assert rungs(two.judge(batch(**asked), judge)) != ["last_safe"]
    await one._memories.share()
    await two._memories.share()
    found = two.judge(batch(**asked), judge)
    assert (rungs(found), found.columns["p99_pred"][0]) == (["last_safe"], 131.0)


@pytest.mark.parametrize("written", ["{", "[1]", "[1, 2]", '[1, {"p99_pred": "x"}]'])
async def test_an_answer_that_cannot_be_read_costs_no_other(redis: Redis, written: str) -> None:
    (one, _, judge), (two, _, _) = await replicas(redis, 2)
    one.judge(batch(p99_pred=131.0, slo_ms=np.nan), judge)
    await one._memories.share()
    await redis.hset(one._memories._key("tail"), "spoilt", written)
    await two._memories.share()
    found = two.judge(batch(p99_pred=np.nan, slo_ms=np.nan), judge)
    assert rungs(found) == ["last_safe"]


async def test_what_is_left_in_redis_is_bounded(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.safety.memories.AT_ONCE", 100)
    memories, judge = Memories(redis), Judge.of(tail_policy())
    memories.prepare([("tail", judge)])
    memory = memories.of("tail", judge)
    assert memory is not None
    monkeypatch.setattr(memory, "most", 20)
    lengths = []
    for piece in range(6):
        names = [f"service-{piece}-{each}" for each in range(15)]
        memory.note(names, [np.ones(15) for _ in memory.fields], 1.0)
        await memories.share()
        lengths.append(await redis.hlen(memories._key("tail")))
    assert max(lengths) <= 40
    assert lengths[0] == 15
