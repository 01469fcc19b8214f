import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from deployments.runtime.state.cache import KNOWN_SECONDS, USUAL, StateCacheLimits
from deployments.runtime.state.position import ANY_MARK
from deployments.runtime.state.service import CLEAR_EVERY_SECONDS
from deployments.runtime.state.stage import tidy_all
from deployments.runtime.state.tags import key_by_tag, tagged
from tests.deployments.runtime.state.asking import (
    SMALL,
    Clock,
    Service,
    ask,
    batch,
    expected,
    totals,
)
from tests.redis_server import RedisServer


async def test_rows_of_one_key_follow_each_other(service: Callable[[], Service]) -> None:
    one = service()
    assert await totals(one, ("a", 1.0), ("b", 5.0), ("a", 2.0)) == [1.0, 5.0, 2.5]
    assert await totals(one, ("a", None)) == [2.5]


async def test_a_replica_that_dies_leaves_nothing_behind_but_its_log(
    service: Callable[[], Service],
) -> None:
    draw = random.Random(3)  # noqa: S311 - a seeded draw for a test
    truth: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    one = service()
    for turn in range(60):
        rows = [(draw.choice("abc"), draw.uniform(0, 9)) for _ in range(draw.randint(1, 6))]
        await ask(one, *rows)
        for key, number in rows:
            truth[key].append(number)
        if turn % 7 == 3:
            await one.tidy()
        if turn % 5 == 4:
            one = service()  # the old one is gone without a word
    assert await totals(one, *((key, None) for key in truth)) == [
        expected(numbers) for numbers in truth.values()
    ]


async def test_two_holders_of_one_key_never_fork_it(service: Callable[[], Service]) -> None:
    replicas = [service() for _ in range(3)]
    draw = random.Random(5)  # noqa: S311 - same

    async def write(replica: Service) -> int:
        taken = 0
        for _ in range(40):
            answer = await ask(replica, ("a", draw.uniform(0, 9)))
            taken += not answer.refusals
            await asyncio.sleep(draw.uniform(0, 0.002))
        return taken

    taken = sum(await asyncio.gather(*(write(replica) for replica in replicas)))
    fourth = service()
    await ask(fourth, ("a", None))
    assert fourth.cache._residents["a"].state.count == taken
    found = {(await totals(replica, ("a", 1.0)))[0] for replica in (replicas[0],)}
    last = service()
    assert set(await totals(last, ("a", None))) == found


async def test_a_row_that_is_sent_again_counts_once(service: Callable[[], Service]) -> None:
    one = service()
    first = await ask(one, ("a", 1.0), ids=["id-1"])
    assert first.details == [None]
    for replica in (one, service()):
        second = await ask(replica, ("a", 1.0), ids=["id-1"])
        assert second.details == [{"data": {"again": "id-1"}}]
        assert second.columns["total"].tolist() == [1.0]


async def test_also_when_a_snapshot_has_taken_it_up(service: Callable[[], Service]) -> None:
    one = service()
    for number in range(9):
        await ask(one, ("a", 1.0), ids=[f"id-{number}"])
    await one.tidy()
    other = service()
    again = await ask(other, ("a", 1.0), ids=["id-2"])
    assert again.details == [{"data": {"again": "id-2"}}]
    assert other.handler.replayed == 0  # type: ignore[attr-defined] # the tally's


async def test_ids_leave_memory_when_nobody_would_send_again(
    service: Callable[..., Service],
) -> None:
    clock = Clock()
    one = service(USUAL, clock)
    await ask(one, ("a", 1.0), ids=["old"])
    clock.now = KNOWN_SECONDS / 2
    await ask(one, ("a", 1.0), ids=["new"])
    for passed, left in ((KNOWN_SECONDS + 1, ["new"]), (2 * KNOWN_SECONDS, None)):
        clock.now = passed
        await one.tidy()
        ids = one.cache._residents["a"].ids
        assert (ids and list(ids)) == left


async def test_a_heavy_log_is_saved_before_it_is_long(service: Callable[..., Service]) -> None:
    one = service(StateCacheLimits(snapshot_after_entries=1_000, least_log_bytes=40))
    for _ in range(4):
        await ask(one, *(("a", 1.0) for _ in range(5)))
        await one.tidy()
    other = service()
    assert await totals(other, ("a", None)) == [expected([1.0] * 20)]
    assert other.handler.replayed < 10  # type: ignore[attr-defined] # the tally's


async def test_a_refused_row_changes_nothing_and_the_others_are_answered(
    service: Callable[[], Service],
) -> None:
    answer = await ask(service(), ("a", 1.0), ("a", -1.0), ("a", 2.0))
    assert answer.refusals == {1: {"code": "invalid", "message": "no negative numbers"}}
    assert answer.columns["total"].tolist()[::2] == [1.0, 2.5]
    assert await totals(service(), ("a", None)) == [2.5]


async def test_idle_keys_leave_memory_and_come_back_to_the_same_bits(
    service: Callable[..., Service],
) -> None:
    clock = Clock()
    one = service(clock=clock)
    numbers = np.random.default_rng(1).uniform(0, 9, 20).tolist()
    for number in numbers[:10]:
        await ask(one, ("a", number))
    clock.now = 11.0
    await one.tidy()
    assert len(one.cache) == 0
    assert one.handler.released == ["a"]  # type: ignore[attr-defined] # the tally's
    for number in numbers[10:]:
        await ask(one, ("a", number))
    assert await totals(one, ("a", None)) == [expected(numbers)]


async def test_memory_is_bounded(service: Callable[[], Service]) -> None:
    one = service()
    await ask(one, *((f"key-{n}", float(n)) for n in range(30)))
    assert len(one.cache) == 30
    await one.tidy()
    assert len(one.cache) == SMALL.most_residents
    everything = await totals(one, *((f"key-{n}", None) for n in range(30)))
    assert everything == [float(n) for n in range(30)]


async def test_a_deleted_key_begins_anew_on_every_replica(service: Callable[[], Service]) -> None:
    one, late = service(), service()
    await ask(one, ("a", 4.0))
    assert await totals(late, ("a", None)) == [4.0]
    await ask(one, ("a", "delete"))
    assert await totals(one, ("a", 1.0)) == [1.0]
    assert await totals(late, ("a", 2.0)) == [2.5]


async def test_without_redis_nothing_is_taken_and_nothing_is_forgotten(
    server: RedisServer, service: Callable[[], Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0))
    server.kill()
    answer = await ask(one, ("a", 2.0), ("b", None))
    assert answer.refusals == {0: {"code": "unavailable", "message": "nothing was taken"}}
    assert np.isnan(answer.columns["total"][1])
    server.start()
    assert await totals(one, ("a", None)) == [1.0]


async def test_when_redis_takes_a_part_only_what_it_did_not_take_is_refused(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one, keys = service(USUAL), [f"key-{n}" for n in range(40)]
    await ask(one, ("read", 1.0), *((key, 1.0) for key in keys))
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("maxmemory", used + 2_000_000)  # room for about half of the entries
    ids = [f"{key}-{'i' * 100_000}" for key in keys]
    answer = await ask(one, *((key, 2.0) for key in keys), ("read", None), ids=[*ids, "read"])
    await redis.config_set("maxmemory", 0)
    refused = [keys[row] for row in answer.refusals]
    assert 0 < len(refused) < len(keys)
    taken = [row for row in range(len(keys)) if row not in answer.refusals]
    assert (answer.columns["total"][taken] == expected([1.0, 2.0])).all()
    assert answer.columns["total"][-1] == 1.0
    # Sent again, as a client does: as new rows.
    again = await totals(one, *((key, 2.0) for key in refused))
    assert again == [expected([1.0, 2.0])] * len(refused)
    for replica in (one, service(USUAL)):
        seen = await totals(replica, *((key, None) for key in keys))
        assert seen == [expected([1.0, 2.0])] * len(keys)


async def test_a_row_that_follows_one_that_redis_refused_is_refused_with_it(
    redis: Redis, service: Callable[[], Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0), ("b", 1.0))
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("maxmemory", 1)
    answer = await ask(one, ("a", 2.0), ("a", None), ("b", None))
    assert list(answer.refusals) == [0]
    assert np.isnan(answer.columns["total"][:2]).all()  # its state did not come about
    assert answer.columns["total"][2] == 1.0


async def test_a_replica_that_ends_in_peace_leaves_no_log_to_replay(
    service: Callable[[], Service],
) -> None:
    one = service()
    await ask(one, ("a", 1.0), ("b", 2.0))
    await one.close()
    other = service()
    assert await totals(other, ("a", None), ("b", None)) == [1.0, 2.0]
    assert other.handler.replayed == 0  # type: ignore[attr-defined] # the tally's


async def test_a_key_is_found_by_the_tag_in_its_decisions(service: Callable[[], Service]) -> None:
    one = service()
    asked = batch(("venue", 3.0))
    asked.ids = [tagged(asked.ids[0], "venue")]
    await one.answer(asked, "tally/plain", "1")
    for replica in (one, service()):
        assert await totals(replica, (key_by_tag(asked.ids[0]), None)) == [3.0]


async def test_a_snapshot_that_fails_each_time_keeps_no_other_waiting(
    service: Callable[..., Service],
) -> None:
    one = service()
    log, save = one._log, one._log.save

    async def too_large(
        key: str, number: int, state: bytes, rows: Sequence[str], mark: str = ANY_MARK
    ) -> bool:
        if key == "a":
            raise RedisError("it takes too long")
        return await save(key, number, state, rows, mark)

    log.save = too_large  # type: ignore[method-assign] # for a test
    for _ in range(SMALL.snapshot_after_entries):
        await ask(one, ("a", 1.0), ("b", 1.0))
    for _ in range(2):
        with suppress(RedisError):
            await one.tidy()
    saved = {key: each.saved_number for key, each in one.cache._residents.items()}
    assert saved == {"a": 0, "b": SMALL.snapshot_after_entries}


async def test_what_redis_refuses_to_save_keeps_no_other_waiting(
    service: Callable[..., Service], redis: Redis
) -> None:
    clock = Clock()
    one, other = service(clock=clock), service(clock=clock)
    log = one._log
    await ask(one, ("idle", 1.0), ("gone", 1.0))
    await ask(one, ("gone", "delete"))
    await ask(other, ("idle too", 1.0))
    await redis.zadd(log.deleted, {"gone": 1})
    clock.now = CLEAR_EVERY_SECONDS + 1
    for _ in range(SMALL.snapshot_after_entries):
        await ask(one, ("a", 1.0), ("b", 1.0))
    await redis.set(log._snapshot("a"), "of another kind")
    for _ in range(2):
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await tidy_all([one, other])
        saved = {key: each.saved_number for key, each in one.cache._residents.items()}
        assert saved == {"a": 0, "b": SMALL.snapshot_after_entries}
        assert len(other.cache) == 0
        assert await redis.zcard(log.deleted) == 0
    await redis.delete(log._snapshot("a"))
    await tidy_all([one, other])
    (a,) = await log.read(["a"])
    assert a.state is not None


async def test_what_redis_refuses_to_save_at_the_end_keeps_no_other_from_it(
    service: Callable[..., Service], redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    one = service()
    await ask(one, ("a", 1.0), ("b", 2.0))
    await redis.set(one._log._snapshot("a"), "of another kind")
    await one.close()
    (b,) = await one._log.read(["b"])
    assert b.state is not None
    assert "WRONGTYPE" in caplog.text
