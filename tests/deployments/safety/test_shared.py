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
from config_store.store import ConfigStore, Version
from deployments.safety.deployment import Safety
from deployments.safety.judge import Judge
from deployments.safety.memories import Memories
from safety.emergency import CriticalRule, EmergencyRules
from safety.rungs import Rungs
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


async def last_keys(redis: Redis) -> list[Any]:
    """Name what holds last safe answers of the tail family."""
    return [each async for each in redis.scan_iter("ballast:safety:last:tail:*")]


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


async def test_replicas_whose_clocks_differ_count_together_all_the_same(redis: Redis) -> None:
    (one, at_one, judge), (two, at_two, _) = await replicas(redis, 2)
    at_two.clocks.now += 60.0
    for each in (one, two):
        each.judge(batch(2, p99_pred=np.nan), judge)
    for _ in range(2):
        await one._emergencies.step()
        await two._emergencies.step()
        at_one.clocks.now += 1.0
        at_two.clocks.now += 1.0
    assert two._emergencies.now() is not None


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


def version(number: int, *same: str) -> Version:
    """Make one whose tail policy remembers these inputs beside its answers."""
    document = default_document()
    tail = document.safety.families["tail"]
    tail = tail.model_copy(update={"rungs": Rungs(last_safe_seconds=60, same=same)})
    families = document.safety.families | {"tail": tail}
    safety = document.safety.model_copy(update={"families": families})
    document = document.model_copy(update={"safety": safety})
    made = datetime(2026, 3, 2, tzinfo=UTC)
    return Version(number, document.config_hash, "ada", "a change", made, document)


async def serving(redis: Redis, active: Version, candidate: Version) -> tuple[Safety, Judge, Judge]:
    """Give a replica that has a candidate at hand beside the active version."""
    stands_in: Any = LittleReplica(redis)
    safety = Safety(stands_in)
    compiled = safety.compile(candidate)
    await safety.make_ready(compiled)
    safety.configure(active)
    await safety.make_ready(compiled)
    judges = safety.versions.active.compiled.judges["tail"], compiled.judges["tail"]
    return safety, *judges


async def test_a_candidate_that_remembers_other_fields_remembers_beside_the_active_version(
    redis: Redis,
) -> None:
    versions = version(1, "slo_ms"), version(2, "slo_ms", "load")
    one, active, candidate = await serving(redis, *versions)
    assert active.remembered != candidate.remembered
    asked = (active, 131.0), (candidate, 140.0)
    for judge, p99_pred in asked:
        one.judge(batch(p99_pred=p99_pred), judge)
    await one._memories.share()
    two, *_ = await serving(redis, *versions)
    await two._memories.share()
    for safety in (one, two):  # one that starts knows both from Redis
        for judge, p99_pred in asked:
            found = safety.judge(batch(p99_pred=np.nan), judge)
            assert (rungs(found), found.columns["p99_pred"][0]) == (["last_safe"], p99_pred)


async def test_what_no_version_remembers_any_more_is_let_go(redis: Redis) -> None:
    safety, first, _ = await serving(redis, version(1, "slo_ms"), version(2, "load"))
    memories = safety._memories
    assert memories.of("tail", first) is not None
    for number in range(3, 11):  # as many as stay alive
        safety.configure(version(number, "infra", "load"))
    assert memories.of("tail", first) is None
    assert memories.of("tail", safety.versions.active.compiled.judges["tail"]) is not None
    await memories.share()  # the table that it had not read yet is not asked for


@pytest.mark.parametrize("written", ["{", "[1]", "[1, 2]", '[1, {"p99_pred": "x"}]'])
async def test_an_answer_that_cannot_be_read_costs_no_other(redis: Redis, written: str) -> None:
    (one, _, judge), (two, _, _) = await replicas(redis, 2)
    one.judge(batch(p99_pred=131.0, slo_ms=np.nan), judge)
    await one._memories.share()
    (key,) = await last_keys(redis)
    await redis.hset(key, "spoilt", written)
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
        lengths.append(sum([await redis.hlen(key) for key in await last_keys(redis)]))
    assert max(lengths) <= 40
    assert lengths[0] == 15
