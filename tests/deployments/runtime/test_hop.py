import asyncio
import time

import numpy as np
import pytest

from deployments.api.errors import StageLostError
from deployments.runtime.hop import Hop
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.tcp import exchange as exchange_module
from deployments.runtime.transport.tcp.exchange import Exchange
from tests.deployments.replicas import Directory, Replica, Room, SilentReplica
from tests.waiting import until

QUESTION = Frame({"load": np.array([0.5, 0.25])})
PATIENT, IMPATIENT = 10.0, 0.2


class Answering:
    """Answers, says how often it was asked, and can be made to hang."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, frame: Frame) -> Frame:
        self.asked += 1
        await self.gate.wait()
        return Frame({name: 2 * column for name, column in frame.columns.items()})

    async def was_asked(self, times: int) -> None:
        await until(lambda: self.asked == times)


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)


def hop_over(exchange: Exchange) -> Hop:
    return Hop("stage", exchange, time.monotonic)


async def found(exchange: Exchange, *replicas: Replica) -> None:
    await until(lambda: {each.address for each in replicas} <= exchange._channels.keys())


async def test_a_call_is_answered(room: Room) -> None:
    replica = await room.replica(Answering())
    hop = hop_over(room.exchange(Directory(replica.address)))
    assert (await hop(QUESTION, PATIENT)).columns["load"].tolist() == [1.0, 0.5]


async def test_the_calls_of_a_lost_replica_go_to_another(room: Room) -> None:
    dying, living = Answering(), Answering()
    dying.gate.clear()
    first, second = await room.replica(dying), await room.replica(living)
    directory = Directory(first.address)
    exchange = room.exchange(directory)
    await found(exchange, first)
    hop = hop_over(exchange)
    calls = [asyncio.create_task(hop(QUESTION, PATIENT)) for _ in range(5)]
    await dying.was_asked(5)
    directory.addresses.append(second.address)
    first.kill()
    for answer in await asyncio.gather(*calls):
        assert answer.columns["load"].tolist() == [1.0, 0.5]
    assert living.asked == 5


async def test_kill_9_of_a_replicas_process_loses_no_call(
    room: Room, silent_replica: SilentReplica
) -> None:
    directory = Directory(silent_replica.address)
    call = asyncio.create_task(hop_over(room.exchange(directory))(QUESTION, PATIENT))
    await silent_replica.was_asked()
    directory.addresses.append((await room.replica(Answering())).address)
    silent_replica.kill()
    assert (await call).columns["load"].tolist() == [1.0, 0.5]


async def test_a_call_that_is_late_ends_alone(room: Room) -> None:
    hanging = Answering()
    hanging.gate.clear()
    replica = await room.replica(hanging)
    exchange = room.exchange(Directory(replica.address))
    await found(exchange, replica)
    hop = hop_over(exchange)
    patient = asyncio.create_task(hop(QUESTION, PATIENT))
    await hanging.was_asked(1)
    with pytest.raises(StageLostError, match=r"'stage'.*within 0\.200 s"):
        await hop(QUESTION, IMPATIENT)
    hanging.gate.set()
    assert (await patient).columns["load"].tolist() == [1.0, 0.5]
    assert exchange._channels[replica.address].alive
    assert hanging.asked == 2  # the patient one was not sent again


async def test_a_replica_with_a_late_answer_is_not_asked_first(room: Room) -> None:
    hanging, living = Answering(), Answering()
    hanging.gate.clear()
    first, second = await room.replica(hanging), await room.replica(living)
    directory = Directory(first.address)
    exchange = room.exchange(directory)
    await found(exchange, first)
    hop = hop_over(exchange)
    with pytest.raises(StageLostError):
        await hop(QUESTION, IMPATIENT)
    directory.addresses = [second.address]
    await found(exchange, second)
    for _ in range(5):
        await hop(QUESTION, PATIENT)
    assert (hanging.asked, living.asked) == (1, 5)


async def test_a_stage_that_answers_that_it_cannot_is_not_asked_twice(room: Room) -> None:
    asked = 0

    async def failing(_: Frame) -> Frame:
        nonlocal asked
        asked += 1
        raise KeyError("load")

    replica = await room.replica(failing)
    exchange = room.exchange(Directory(replica.address))
    with pytest.raises(StageLostError, match="failed with KeyError") as lost:
        await hop_over(exchange)(QUESTION, PATIENT)
    assert lost.value.stage == "stage"
    assert asked == 1
    channel = exchange.idlest()
    assert channel is not None  # it is well enough to say so


async def test_an_answer_by_another_version_is_as_good_as_none(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    used = 7

    async def stubborn(frame: Frame) -> Frame:
        return Frame(frame.columns, {"version": used})

    exchange = room.exchange(Directory((await room.replica(stubborn)).address))
    hop = hop_over(exchange)
    asked = Frame(QUESTION.columns, {"version": 7})
    assert (await hop(asked, PATIENT)).head["version"] == 7
    used = 6
    with pytest.raises(StageLostError, match="with version 6 instead of version 7"):
        await hop(asked, PATIENT)
    assert "is of version 6, but version 7 was requested" in caplog.text


async def test_without_any_replica_the_call_ends_with_its_budget(room: Room) -> None:
    hop = hop_over(room.exchange(Directory()))
    began = time.monotonic()
    with pytest.raises(StageLostError):
        await hop(QUESTION, IMPATIENT)
    assert IMPATIENT <= time.monotonic() - began < PATIENT / 2


async def test_without_time_nothing_is_sent(room: Room) -> None:
    handler = Answering()
    exchange = room.exchange(Directory((await room.replica(handler)).address))
    await exchange.pick_link()
    with pytest.raises(StageLostError):
        await hop_over(exchange)(QUESTION, 0.0)
    assert handler.asked == 0


async def test_replicas_that_die_one_after_another_share_one_budget(room: Room) -> None:
    handlers = [Answering() for _ in range(3)]
    for handler in handlers:
        handler.gate.clear()
    replicas = [await room.replica(handler) for handler in handlers]
    directory = Directory(replicas[0].address)
    call = asyncio.create_task(hop_over(room.exchange(directory))(QUESTION, PATIENT))
    for replica, handler, following in zip(replicas, handlers, replicas[1:], strict=False):
        await handler.was_asked(1)
        directory.addresses = [following.address]
        replica.kill()
    handlers[-1].gate.set()
    assert (await call).columns["load"].tolist() == [1.0, 0.5]
