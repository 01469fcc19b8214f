import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from deployments.errors import StageLostError
from deployments.hop import Hop
from deployments.wire import exchange as exchange_module
from deployments.wire.exchange import Exchange
from deployments.wire.frame import Frame
from tests.deployments.replicas import SECRET, Directory, Replica, Room
from tests.waiting import until

QUESTION = Frame({"load": np.array([0.5, 0.25])})
PATIENT, IMPATIENT = 10.0, 0.2

# A replica in a process of its own, which takes questions and answers none.
SILENT_REPLICA = """
import asyncio, sys
from deployments.wire.server import WireServer

async def silent(frame):
    print("asked", flush=True)
    await asyncio.sleep(60)

async def serve():
    _, port = await WireServer(silent, sys.argv[1].encode()).open("127.0.0.1")
    print(port, flush=True)
    await asyncio.sleep(60)

asyncio.run(serve())
"""


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


@pytest.fixture
def silent() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SILENT_REPLICA, SECRET.decode()], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


async def test_kill_9_of_a_replicas_process_loses_no_call(
    room: Room, silent: subprocess.Popen[str]
) -> None:
    assert silent.stdout is not None
    port = int(await asyncio.to_thread(silent.stdout.readline))
    directory = Directory(("127.0.0.1", port))
    call = asyncio.create_task(hop_over(room.exchange(directory))(QUESTION, PATIENT))
    assert await asyncio.to_thread(silent.stdout.readline) == "asked\n"
    directory.addresses.append((await room.replica(Answering())).address)
    silent.kill()
    assert (await call).columns["load"].tolist() == [1.0, 0.5]


async def test_a_call_that_times_out_drops_the_channel(room: Room) -> None:
    hanging, living = Answering(), Answering()
    hanging.gate.clear()
    first, second = await room.replica(hanging), await room.replica(living)
    directory = Directory(first.address)
    exchange = room.exchange(directory)
    await found(exchange, first)
    hop = hop_over(exchange)
    patient = asyncio.create_task(hop(QUESTION, PATIENT))
    await hanging.was_asked(1)
    directory.addresses = [second.address]
    began = time.monotonic()
    with pytest.raises(StageLostError, match=r"'stage'.*within 0\.200 s"):
        await hop(QUESTION, IMPATIENT)
    assert time.monotonic() - began < PATIENT / 2
    # Who had more time goes to another replica at once.
    assert (await patient).columns["load"].tolist() == [1.0, 0.5]
    assert first.address not in {at for at, each in exchange._channels.items() if each.alive}


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


async def test_without_any_replica_the_call_ends_with_its_budget(room: Room) -> None:
    hop = hop_over(room.exchange(Directory()))
    began = time.monotonic()
    with pytest.raises(StageLostError):
        await hop(QUESTION, IMPATIENT)
    assert IMPATIENT <= time.monotonic() - began < PATIENT / 2


async def test_without_time_nothing_is_sent(room: Room) -> None:
    handler = Answering()
    exchange = room.exchange(Directory((await room.replica(handler)).address))
    await exchange.some()
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
