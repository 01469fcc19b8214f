"""Whether a decision may wait in a spool: of this node, or of one that cannot say so."""

import os
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from observability.ledger.decision import DecisionIds
from observability.ledger.spool import SUFFIX, Spool
from observability.ledger.spools import AHEAD_MS, GONE_MS, MARGIN_MS, Spools
from tests.redis_server import RedisServer

MARGIN_S = MARGIN_MS / 1000
KEY = "ballast:ledger:spools"


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now

    def id(self) -> str:
        """Give an id of this moment."""
        return DecisionIds(self, os.urandom).take(1)[0]


def held(folder: Path) -> Spool:
    """Open a spool with an entry in it, of a writer that lives."""
    spool = Spool.create(folder / f"gateway{SUFFIX}")
    spool.append([b"an entry"])
    return spool


def two_nodes(client: Redis, folder: Path, clock: Clock) -> tuple[Spools, Spools]:
    """Give the spools of the node that is asked, and those of another one."""
    return Spools(client, folder / "here", clock), Spools(client, folder / "there", clock)


async def test_what_waits_on_the_same_node_is_seen_at_once(client: Redis, tmp_path: Path) -> None:
    clock = Clock()
    spools = Spools(client, tmp_path / "spool", clock)
    assert await spools.why_waiting(clock.id()) is None
    spool = held(tmp_path / "spool")
    for decision_id in (clock.id(), "no id of ours"):
        assert "in 1 spools of this node" in str(await spools.why_waiting(decision_id))
    spool.drop(spool.peek(100))
    assert await spools.why_waiting(clock.id()) is None
    spool.append([b"another"])
    assert await spools.why_waiting(clock.id()) is not None
    spool.drop(spool.peek(100))
    spool.close()
    assert await spools.why_waiting(clock.id()) is None


async def test_a_node_that_says_nothing_since_may_hold_what_was_decided_since(
    client: Redis, tmp_path: Path
) -> None:
    clock = Clock()
    here, there = two_nodes(client, tmp_path, clock)
    before = clock.id()
    clock.now += MARGIN_S
    await there.note()
    await here.note()
    assert await here.why_waiting(before) is None
    clock.now += 5
    decision_id = clock.id()
    clock.now += MARGIN_S
    await here.note()
    assert "another node, last heard of 65 s ago" in str(await here.why_waiting(decision_id))
    assert await here.why_waiting(before) is None
    await there.note()
    assert await here.why_waiting(decision_id) is None


async def test_a_node_whose_spool_is_not_empty_may_hold_what_was_decided_since(
    client: Redis, tmp_path: Path
) -> None:
    clock = Clock()
    here, there = two_nodes(client, tmp_path, clock)
    before = clock.id()
    clock.now += MARGIN_S
    await there.note()
    spool = held(tmp_path / "there")
    decision_id = clock.id()
    clock.now += MARGIN_S
    await there.note()
    assert await here.why_waiting(decision_id) is not None
    assert await here.why_waiting(before) is None
    # It says so again after a restart, when it does not know since when.
    await Spools(client, tmp_path / "there", clock).note()
    assert await here.why_waiting(before) is not None
    spool.drop(spool.peek(100))
    await there.note()
    assert await here.why_waiting(decision_id) is None


async def test_a_node_that_left_in_good_order_is_not_waited_for(
    client: Redis, tmp_path: Path
) -> None:
    clock = Clock()
    here, there = two_nodes(client, tmp_path, clock)
    await there.note()
    spool = held(tmp_path / "there")
    clock.now += 1
    decision_id = clock.id()
    await there.leave()
    assert await here.why_waiting(decision_id) is not None
    spool.drop(spool.peek(100))
    await there.leave()
    assert await here.why_waiting(decision_id) is None


async def test_a_node_that_is_gone_for_a_day_is_not_waited_for(
    client: Redis, tmp_path: Path
) -> None:
    clock = Clock()
    here, there = two_nodes(client, tmp_path, clock)
    await there.note()
    decision_id = clock.id()
    clock.now += GONE_MS / 1000
    assert await here.why_waiting(decision_id) is not None
    clock.now += 1
    assert await here.why_waiting(decision_id) is None
    assert await client.hgetall(KEY) == {}


async def test_an_id_that_nobody_can_have_given_waits_nowhere(
    client: Redis, tmp_path: Path
) -> None:
    clock = Clock()
    here, there = two_nodes(client, tmp_path, clock)
    await there.note()
    clock.now += AHEAD_MS / 1000 + 1
    ahead = clock.id()
    clock.now -= AHEAD_MS / 1000 + 1
    assert await here.why_waiting(ahead) is None
    assert await here.why_waiting("no id of ours") is None
    assert await here.why_waiting(clock.id()) is not None


async def test_gateways_of_one_node_speak_for_it_together_whatever_it_is_called(
    client: Redis, redis_server: RedisServer, tmp_path: Path
) -> None:
    clock = Clock()
    first = Spools(client, tmp_path / "spool", clock)
    await first.note()
    async with redis_server.client() as other:
        await Spools(other, tmp_path / "spool", clock).note()
    assert await client.hlen(KEY) == 1
    (tmp_path / "spool").rename(tmp_path / "moved")
    await Spools(client, tmp_path / "moved", clock).note()
    assert await client.hlen(KEY) == 1
    clock.now += 2 * MARGIN_S
    assert await first.why_waiting(clock.id()) is None


async def test_a_note_of_a_later_release_may_tell_more(client: Redis, tmp_path: Path) -> None:
    clock = Clock()
    here, there = two_nodes(client, tmp_path, clock)
    await there.note()
    (mark, noted), *_ = (await client.hgetall(KEY)).items()
    await client.hset(KEY, mark, orjson.dumps(orjson.loads(noted) | {"more": 1}))
    decision_id = clock.id()
    assert "last heard of 0 s ago" in str(await here.why_waiting(decision_id))
    clock.now -= 2 * MARGIN_S
    assert await here.why_waiting(clock.id()) is None


@pytest.mark.parametrize("noted", ["{}", "[1]", "no JSON", '{"empty_ms": null, "seen_ms": 1}'])
async def test_a_node_whose_note_cannot_be_read_may_hold_anything_until_it_is_silent_for_a_day(
    client: Redis, tmp_path: Path, noted: str
) -> None:
    clock = Clock()
    here = Spools(client, tmp_path, clock)
    decision_id = clock.id()
    await client.hset(KEY, "another", noted)
    assert "another node, last heard of 0 s ago" in str(await here.why_waiting(decision_id))
    clock.now += GONE_MS / 1000
    assert await here.why_waiting(decision_id) is not None
    await client.hset(KEY, "another", noted + " ")  # it goes on speaking
    assert "last heard of 0 s ago" in str(await here.why_waiting(decision_id))
    clock.now += GONE_MS / 1000 + 1
    assert await here.why_waiting(decision_id) is None
    assert await client.hgetall(KEY) == {}
