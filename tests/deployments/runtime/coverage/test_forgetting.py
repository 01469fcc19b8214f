"""How many entities' intervals are kept, which ones are forgotten, and what reading them costs."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from deployments.runtime.coverage.offsets_table import key_of, offsets_key
from deployments.runtime.coverage.online_offsets import ALL_AFTER_REFRESHES, OnlineOffsets
from deployments.runtime.coverage.operations import TakeOutcome
from deployments.runtime.coverage.outcomes import OutcomeRecorder
from deployments.runtime.state.entries import Append
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.position import Position

MOST = 5
RECENT = "ballast:coverage:recent:tail"


def recorder(redis: Redis) -> OutcomeRecorder:
    return OutcomeRecorder(redis, lambda: 0.0, MOST)


async def take(outcomes: OutcomeRecorder, *entities: str, family: str = "tail") -> dict[str, Any]:
    """Take an outcome of each; give how the last one stands."""
    found = dict[str, Any]()
    for entity in entities:
        decision = f"{entity} {await outcomes._redis.incr('decisions')}"
        ask: TakeOutcome = {
            "decision": decision, "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0,
        }  # fmt: skip
        found = await outcomes.take(family, entity, ask)
    return found


def many(count: int) -> list[str]:
    return [f"entity-{at:02d}" for at in range(count)]


async def kept(redis: Redis, family: str = "tail") -> list[str]:
    """Give the entities that are kept, by the logs' index; the table has the same ones."""
    own = key_of(family, "")
    logs = await KeyLog(redis, "coverage").names("", 100, own)
    found: list[Any] = await redis.hkeys(offsets_key(redis))
    table = [key.decode() for key in found]
    assert sorted(key for key in table if key.startswith(own)) == logs
    return [key.removeprefix(own) for key in logs]


async def test_of_many_entities_those_silent_longest_are_forgotten(redis: Redis) -> None:
    outcomes = recorder(redis)
    await take(outcomes, *many(3), family="capacity")
    await take(outcomes, *many(12), "entity-00")
    await outcomes.tidy()
    assert await kept(redis) == ["entity-00", "entity-08", "entity-09", "entity-10", "entity-11"]
    assert await kept(redis, "capacity") == many(3)
    assert await redis.xlen(KeyLog(redis, "coverage")._log(key_of("tail", "entity-01"))) == 0


async def test_what_was_forgotten_begins_anew(redis: Redis) -> None:
    outcomes, other, online = recorder(redis), recorder(redis), OnlineOffsets(redis, "tail")
    await take(other, "first", "first")
    await take(outcomes, *many(MOST))
    await outcomes.tidy()
    assert "first" not in await kept(redis)
    assert (await take(other, "first"))["outcomes"] == 1
    await online.refresh()
    (record,) = online.records(["first"])
    assert record is not None
    assert record["outcomes"] == 1


async def test_what_an_earlier_release_left_is_forgotten_before_all_else(redis: Redis) -> None:
    before, outcomes = recorder(redis), recorder(redis)
    await take(before, *many(8))
    await redis.delete(RECENT)  # it kept no order
    await take(outcomes, "entity-00", "new")
    await outcomes.tidy()
    assert await kept(redis) == ["entity-00", "entity-05", "entity-06", "entity-07", "new"]


@pytest.mark.parametrize("moment", ["before it is deleted", "after it was deleted"])
async def test_an_outcome_that_comes_meanwhile_keeps_its_entity(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    outcomes, other = recorder(redis), recorder(redis)
    await take(outcomes, "silent", *many(MOST))
    positions, append = outcomes._log.positions, outcomes._log.append

    async def positions_and_an_outcome(keys: Sequence[str]) -> list[Position]:
        found = await positions(keys)
        await take(other, "silent")
        return found

    async def append_and_an_outcome(appends: Sequence[Append]) -> list[bool | None]:
        taken = await append(appends)
        await take(other, "silent")
        return taken

    if moment == "before it is deleted":
        monkeypatch.setattr(outcomes._log, "positions", positions_and_an_outcome)
    else:
        monkeypatch.setattr(outcomes._log, "append", append_and_an_outcome)
    await outcomes.tidy()
    monkeypatch.undo()
    assert "silent" in await kept(redis)
    await outcomes.tidy()
    assert await kept(redis) == [*many(MOST)[1:], "silent"]


async def calls(redis: Redis) -> dict[str, int]:
    stats: dict[str, Any] = await redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}


async def test_only_what_changed_is_read_again(redis: Redis) -> None:
    outcomes, online = recorder(redis), OnlineOffsets(redis, "tail")
    await take(outcomes, *many(20))
    await online.refresh()
    await take(outcomes, *["entity-03"] * 9)
    await redis.config_resetstat()
    await online.refresh()
    await online.refresh()
    asked = await calls(redis)
    assert not {"hgetall", "hscan"} & asked.keys()
    assert asked["hmget"] == 1
    found = online.records(many(20))
    assert [each["outcomes"] for each in found if each] == [1, 1, 1, 10, *[1] * 16]
    assert online.offsets(["entity-03"])[0] > 0


async def test_what_was_forgotten_elsewhere_is_forgotten_here_soon(redis: Redis) -> None:
    outcomes, online = recorder(redis), OnlineOffsets(redis, "tail")
    await take(outcomes, *many(8))
    await online.refresh()
    await outcomes.tidy()
    for _ in range(ALL_AFTER_REFRESHES):
        await online.refresh()
    assert [each is not None for each in online.records(many(8))] == [False] * 3 + [True] * 5


async def test_a_redis_that_forgot_its_latest_outcomes_is_read_from_the_start(redis: Redis) -> None:
    outcomes, online = recorder(redis), OnlineOffsets(redis, "tail")
    await take(outcomes, *many(4))
    await online.refresh()
    await redis.flushall()
    await take(recorder(redis), "entity-00", "another")
    await online.refresh()
    found = online.records([*many(4), "another"])
    assert [each is not None for each in found] == [True, False, False, False, True]
