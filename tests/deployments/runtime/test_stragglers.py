"""Rows of a version go to replicas that hold it, while there is one."""

import time

import numpy as np
import pytest

from deployments.api.errors import StageLostError
from deployments.runtime.batch import Batch
from deployments.runtime.hop import Hop
from deployments.runtime.state.routing import ByKey, holder
from deployments.runtime.state.tags import tagged
from deployments.runtime.transport.call import BatchRefusedError
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.tcp import exchange as exchange_module
from deployments.runtime.transport.tcp.exchange import Exchange
from tests.deployments.replicas import Directory, Replica, Room
from tests.waiting import until

PATIENT = 60.0
NEVER = 3600.0
ID = "018f0f2e-7b1c-7abc-9def-0123456789ab"


class Holding:
    """A replica that answers by the versions that it holds, and cannot have another one."""

    def __init__(self, *hashes: str) -> None:
        self.hashes = list(hashes)
        self.asked = 0

    async def __call__(self, frame: Frame) -> Frame:
        self.asked += 1
        if frame.head["config_hash"] not in self.hashes:
            raise BatchRefusedError("Redis is away")
        head = {"version": frame.head["version"], "model": "m", "model_version": "1"}
        return Frame(frame.columns, head)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)
    monkeypatch.setattr(exchange_module, "PING_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(exchange_module, "STRAGGLES_SECONDS", 0.1)


async def opened(room: Room, *holding: Holding) -> tuple[Exchange, list[Replica]]:
    """Open a replica for each, and know what they hold."""
    replicas = [await room.replica(each, lambda each=each: each.hashes) for each in holding]  # type: ignore[misc] # bound now
    exchange = room.exchange(Directory(*(each.address for each in replicas)))
    await until(lambda: len(exchange.alive()) == len(replicas))
    await until(lambda: all(each.holds is not None for each in exchange.alive().values()))
    return exchange, replicas


def question(config_hash: str) -> Frame:
    return Frame({"load": np.array([0.5])}, {"version": 2, "config_hash": config_hash})


async def test_who_lacks_a_version_gets_no_rows_of_it_until_it_holds_it(room: Room) -> None:
    straggler, other = Holding("old"), Holding("old", "new")
    exchange, (first, second) = await opened(room, straggler, other)
    await until(lambda: exchange.responsive("new").keys() == {second.address})
    assert exchange.idlest("new") is exchange.alive()[second.address]
    assert (exchange.avoided("new"), exchange.avoided("old")) == (1, 0)
    assert exchange.responsive("old").keys() == {first.address, second.address}
    hop = Hop("stage", exchange, time.monotonic)
    for _ in range(10):
        await hop(question("new"), PATIENT)
    assert (straggler.asked, other.asked) == (0, 10)
    straggler.hashes.append("new")
    await until(lambda: exchange.responsive("new").keys() == {first.address, second.address})
    assert exchange.avoided("new") == 0


async def test_right_after_an_activation_nobody_is_a_straggler(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "STRAGGLES_SECONDS", NEVER)
    exchange, replicas = await opened(room, Holding("old"), Holding("old", "new"))
    await until(lambda: "new" in exchange._held_since)
    assert exchange.responsive("new").keys() == {each.address for each in replicas}


async def test_where_nobody_holds_it_all_are_asked(room: Room) -> None:
    exchange, replicas = await opened(room, Holding("old"), Holding("old"))
    await until(lambda: "old" in exchange._held_since)
    assert exchange.responsive("new").keys() == {each.address for each in replicas}
    assert exchange.avoided("new") == 0


async def test_who_says_nothing_of_what_it_holds_is_asked(room: Room) -> None:
    other = await room.replica(Holding("new"), lambda: ["new"])
    silent = await room.replica(Holding("new"))
    exchange = room.exchange(Directory(other.address, silent.address))
    await until(lambda: len(exchange.alive()) == 2 and "new" in exchange._held_since)
    await until(lambda: time.monotonic() - exchange._held_since["new"] > 0.2)
    assert exchange.responsive("new").keys() == {other.address, silent.address}


async def test_a_batch_that_is_refused_is_answered_by_another(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "STRAGGLES_SECONDS", NEVER)
    straggler, other = Holding("old"), Holding("old", "new")
    exchange, (first, second) = await opened(room, straggler, other)
    hop = Hop("stage", exchange, time.monotonic)
    for _ in range(10):
        answer = await hop(question("new"), PATIENT)
        assert answer.columns["load"].tolist() == [0.5]
    assert straggler.asked <= 1  # it is not asked a second time
    assert other.asked == 10
    exchange.alive()[first.address]._refused.add("new")  # it may not have been asked at all
    assert exchange.responsive("new").keys() == {second.address}
    straggler.hashes.append("new")
    await until(lambda: exchange.responsive("new").keys() == {first.address, second.address})


async def test_where_all_refuse_the_stage_is_lost_at_once(room: Room) -> None:
    both = Holding("old"), Holding("old")
    exchange, _ = await opened(room, *both)
    hop = Hop("stage", exchange, time.monotonic)
    began = time.monotonic()
    with pytest.raises(StageLostError, match="no replica can have version 2"):
        await hop(question("new"), PATIENT)
    assert time.monotonic() - began < PATIENT / 2
    assert [each.asked for each in both] == [1, 1]


async def test_keys_of_a_straggler_go_to_another(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "STRAGGLES_SECONDS", NEVER)
    straggler, other = Holding("old"), Holding("old", "new")
    exchange, replicas = await opened(room, straggler, other)
    keys = [f"stream-{n}" for n in range(20)]
    mixed = {holder(key, [each.address for each in replicas]) for key in keys}
    assert len(mixed) == 2
    values, ids = np.arange(20.0), [tagged(ID, key) for key in keys]
    by_key = ByKey("anomaly", exchange, time.monotonic)
    for at in range(3):
        batch = Batch("f", keys, {"x": values}, keys=keys, ids=ids, version=2, config_hash="new")
        answer = await by_key(batch, PATIENT)
        assert answer.columns["x"].tolist() == values.tolist()
        assert not answer.refusals
        assert (straggler.asked, other.asked) == (1, at + 2)


async def test_keys_whose_version_nobody_has_are_refused(room: Room) -> None:
    both = Holding("old"), Holding("old")
    exchange, _ = await opened(room, *both)
    keys = [f"stream-{n}" for n in range(20)]
    ids = [tagged(ID, key) for key in keys]
    batch = Batch(
        "f", keys, {"x": np.arange(20.0)}, keys=keys, ids=ids, version=2, config_hash="new"
    )
    with pytest.raises(StageLostError, match="no replica can have version 2"):
        await ByKey("anomaly", exchange, time.monotonic)(batch, PATIENT)
