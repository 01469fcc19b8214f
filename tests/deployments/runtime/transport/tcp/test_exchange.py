import asyncio
import logging

import numpy as np
import pytest

from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.replica_directory import Listing
from deployments.runtime.transport.tcp import exchange as exchange_module
from tests.deployments.replicas import Directory, Room, SilentReplica
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
        channel = await exchange.pick_link()
        calls.append(asyncio.create_task(channel.call(QUESTION)))
        await asyncio.sleep(0)
    assert [channel.in_flight for channel in exchange._channels.values()] == [3, 3, 3]
    gate.set()
    await asyncio.gather(*calls)


async def test_with_no_replica_it_waits_for_the_first(room: Room) -> None:
    directory = Directory()
    exchange = room.exchange(directory)
    assert exchange.idlest() is None
    waiting = asyncio.create_task(exchange.pick_link())
    await until(lambda: directory.questions > 1)
    assert not waiting.done()
    replica = await room.replica(echo)
    directory.addresses.append(replica.address)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await (await waiting).call(QUESTION)).columns["load"].tolist() == [0.5]


async def test_where_all_that_are_listed_are_reached_only_a_change_makes_it_look(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is listed later nor one whose connection broke waits for its next look."""
    monkeypatch.setattr(exchange_module, "LOOK_AGAIN_SECONDS", 10 * PATIENCE_SECONDS)
    first, second = await room.replica(echo), await room.replica(echo)
    directory, listing = Directory(), Listing(frozenset({first.address}))
    exchange = room.exchange(directory, listing)
    await until(lambda: first.address in exchange.alive())
    assert exchange._pause_seconds() > PATIENCE_SECONDS
    listing.update(frozenset({first.address, second.address}))
    await until(lambda: second.address in exchange.alive())
    broken = exchange.alive()[second.address]
    broken.close()
    await until(lambda: exchange.alive().get(second.address, broken) is not broken)
    assert directory.questions == 0


async def test_while_one_that_is_listed_is_out_of_reach_it_looks_each_second(room: Room) -> None:
    living, dead = await room.replica(echo), await room.replica(echo)
    dead.kill()
    exchange = room.exchange(Directory(), Listing(frozenset({living.address, dead.address})))
    await until(lambda: living.address in exchange.alive())
    assert exchange._pause_seconds() < exchange_module.ASK_EVERY_SECONDS


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno >= logging.WARNING]


async def test_while_all_start_side_by_side_an_absent_replica_is_no_warning(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    directory = Directory()
    room.exchange(directory)
    await until(lambda: directory.questions > 2)
    assert warnings(caplog) == []


async def test_a_replica_that_is_still_absent_later_is_a_warning(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exchange_module, "STARTS_WITHIN_SECONDS", 0.0)
    room.exchange(Directory())
    await until(lambda: "'find replicas of stage' failed" in "".join(warnings(caplog)))


async def test_the_last_replica_that_is_lost_is_a_warning_at_once(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    replica = await room.replica(echo)
    directory = Directory(replica.address)
    await room.exchange(directory).pick_link()
    directory.addresses.clear()
    replica.kill()
    await until(lambda: "'find replicas of stage' failed" in "".join(warnings(caplog)))


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
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 10 * PATIENCE_SECONDS)
    old = await room.replica(echo)
    directory = Directory(old.address)
    exchange = room.exchange(directory)
    await exchange.pick_link()
    await asyncio.sleep(0.1)  # well within the pause between two questions
    new = await room.replica(echo)
    directory.addresses = [new.address]
    old.kill()
    await until(lambda: exchange.idlest() is None)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await exchange.pick_link()


async def test_a_replica_that_hangs_is_asked_last_and_first_again_when_it_is_heard(
    room: Room, silent_replica: SilentReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)
    monkeypatch.setattr(exchange_module, "PING_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(exchange_module, "SILENT_SECONDS", 0.2)
    hanging, living = silent_replica.address, (await room.replica(echo)).address
    exchange = room.exchange(Directory(hanging, living))
    await until(lambda: exchange.responsive().keys() == {hanging, living})
    silent_replica.stop()  # nothing is asked of it: a ping is enough to tell
    await until(lambda: exchange.responsive().keys() == {living})
    assert exchange.alive().keys() == {hanging, living}
    assert exchange.idlest() is exchange.alive()[living]
    silent_replica.go_on()
    await until(lambda: exchange.responsive().keys() == {hanging, living})


async def test_where_all_hang_all_are_asked(
    room: Room, silent_replica: SilentReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "PING_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(exchange_module, "SILENT_SECONDS", 0.1)
    exchange = room.exchange(Directory(silent_replica.address))
    channel = await exchange.pick_link()
    silent_replica.stop()
    await until(lambda: channel.silent_seconds > 0.1)
    assert exchange.responsive() == {silent_replica.address: channel}
    assert exchange.idlest() is channel


async def test_a_replica_that_is_silent_for_too_long_is_let_go(
    room: Room, silent_replica: SilentReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "PING_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(exchange_module, "LOST_SECONDS", 0.1)
    directory = Directory(silent_replica.address)
    channel = await room.exchange(directory).pick_link()
    directory.addresses = []
    silent_replica.stop()
    await until(lambda: not channel.alive)


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
        await exchange.pick_link()


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
        await exchange.pick_link()


async def test_stopping_leaves_no_task_and_no_connection(room: Room) -> None:
    replica = await room.replica(echo)
    exchange = room.exchange(Directory(replica.address))
    await exchange.pick_link()
    before = asyncio.all_tasks()
    await exchange.stop()
    assert len(before - asyncio.all_tasks()) == 2
    assert exchange.idlest() is None
    await until(lambda: not replica.server._connections)
