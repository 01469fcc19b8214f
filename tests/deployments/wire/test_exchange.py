import asyncio
import time

import numpy as np
import pytest

from deployments.wire import exchange as exchange_module
from deployments.wire.exchange import ASK_EVERY_SECONDS
from deployments.wire.frame import Frame
from tests.deployments.replicas import Directory, Room
from tests.waiting import PATIENCE_SECONDS, until

QUESTION = Frame({"load": np.array([0.5])})


async def echo(frame: Frame) -> Frame:
    return frame


async def test_it_finds_every_replica_that_serve_names(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)
    replicas = [await room.replica(echo) for _ in range(3)]
    directory = Directory(*(replica.address for replica in replicas))
    exchange = room.exchange(directory)
    await until(lambda: len(exchange._channels) == 3)
    late = await room.replica(echo)
    directory.addresses.append(late.address)
    await until(lambda: late.address in exchange._channels)


async def test_the_idlest_replica_is_picked(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)
    gate = asyncio.Event()

    async def gated(frame: Frame) -> Frame:
        await gate.wait()
        return frame

    replicas = [await room.replica(gated) for _ in range(3)]
    exchange = room.exchange(Directory(*(replica.address for replica in replicas)))
    await until(lambda: len(exchange._channels) == 3)
    calls = []
    for _ in range(9):
        channel = await exchange.some()
        calls.append(asyncio.create_task(channel.call(QUESTION)))
        await asyncio.sleep(0)
    assert [channel.in_flight for channel in exchange._channels.values()] == [3, 3, 3]
    gate.set()
    await asyncio.gather(*calls)


async def test_with_no_replica_it_waits_for_the_first(room: Room) -> None:
    directory = Directory()
    exchange = room.exchange(directory)
    assert exchange.idlest() is None
    waiting = asyncio.create_task(exchange.some())
    await until(lambda: directory.questions > 1)
    assert not waiting.done()
    replica = await room.replica(echo)
    directory.addresses.append(replica.address)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await (await waiting).call(QUESTION)).columns["load"].tolist() == [0.5]


async def test_a_lost_replica_is_picked_no_more(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)
    replicas = [await room.replica(echo) for _ in range(2)]
    directory = Directory(*(replica.address for replica in replicas))
    exchange = room.exchange(directory)
    await until(lambda: len(exchange._channels) == 2)
    replicas[0].kill()
    await until(lambda: not exchange._channels[replicas[0].address].alive)
    # Serve may go on naming it for a while; nobody answers there any more.
    for _ in range(20):
        assert exchange.idlest() is exchange._channels[replicas[1].address]
        await asyncio.sleep(0.01)


async def test_the_last_one_lost_is_replaced_without_waiting_for_the_next_round(
    room: Room,
) -> None:
    old = await room.replica(echo)
    directory = Directory(old.address)
    exchange = room.exchange(directory)
    await exchange.some()
    await asyncio.sleep(0.1)  # well within the pause between two questions
    new = await room.replica(echo)
    directory.addresses = [new.address]
    old.kill()
    await until(lambda: exchange.idlest() is None)
    began = time.monotonic()
    await exchange.some()
    assert time.monotonic() - began < ASK_EVERY_SECONDS / 2


async def test_a_dropped_replica_is_found_again_when_serve_still_names_it(room: Room) -> None:
    replica = await room.replica(echo)
    exchange = room.exchange(Directory(replica.address))
    first = await exchange.some()
    exchange.drop(first)
    assert exchange.idlest() is None
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await exchange.some() is not first


@pytest.mark.parametrize("trouble", [ConnectionError("away"), RuntimeError("Serve broke")])
async def test_whatever_serve_says_the_search_goes_on(room: Room, trouble: Exception) -> None:
    class Moody(Directory):
        async def remote(self) -> tuple[str, int]:
            address = await super().remote()
            if self.questions < 3:
                raise trouble
            return address

    replica = await room.replica(echo)
    exchange = room.exchange(Moody(replica.address))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await exchange.some()


async def test_a_question_that_hangs_is_asked_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(Directory):
        async def remote(self) -> tuple[str, int]:
            address = await super().remote()
            if self.questions == 1:
                await asyncio.Event().wait()
            return address

    monkeypatch.setattr(exchange_module, "ASK_WITHIN_SECONDS", 0.05)
    replica = await room.replica(echo)
    exchange = room.exchange(Hanging(replica.address))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await exchange.some()


async def test_stopping_leaves_no_task_and_no_connection(room: Room) -> None:
    replica = await room.replica(echo)
    exchange = room.exchange(Directory(replica.address))
    await exchange.some()
    before = asyncio.all_tasks()
    await exchange.stop()
    assert len(before - asyncio.all_tasks()) == 1
    assert exchange.idlest() is None
    await until(lambda: not replica.server._connections)
