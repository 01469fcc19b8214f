import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from deployments.wire.channel import Channel, ChannelLostError, RemoteFailureError
from deployments.wire.frame import ANSWER, Frame, encode
from tests.deployments.replicas import SECRET, Room
from tests.waiting import PATIENCE_SECONDS, until


def question(value: float) -> Frame:
    return Frame({"load": np.array([value])})


def value_of(frame: Frame) -> float:
    return float(frame.columns["load"][0])


async def echo(frame: Frame) -> Frame:
    return frame


async def never(_: Frame) -> Frame:
    await asyncio.Event().wait()
    raise AssertionError("nobody opens it")


async def call(channel: Channel, value: float) -> float:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return value_of(await channel.call(question(value)))


async def test_many_calls_at_once_each_get_their_own_answer(room: Room) -> None:
    async def later_for_less(frame: Frame) -> Frame:
        await asyncio.sleep(0.02 - value_of(frame) / 10_000)
        return frame

    channel = await (await room.replica(later_for_less)).channel()
    calls = [asyncio.create_task(call(channel, value)) for value in range(100)]
    await asyncio.sleep(0)
    assert channel.in_flight == 100
    assert await asyncio.gather(*calls) == list(range(100))
    assert channel.in_flight == 0
    channel.close()


async def test_a_replica_that_dies_fails_every_call_that_waits(room: Room) -> None:
    replica = await room.replica(never)
    channel = await replica.channel()
    calls = [asyncio.create_task(call(channel, value)) for value in range(3)]
    await until(lambda: channel.in_flight == 3)
    replica.kill()
    for lost in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(lost, ChannelLostError)
    assert not channel.alive
    with pytest.raises(ChannelLostError):
        await call(channel, 1.0)


async def test_a_failure_is_the_calls_own_and_the_channel_lives(room: Room) -> None:
    async def fussy(frame: Frame) -> Frame:
        if value_of(frame) < 0:
            raise KeyError("load")
        return frame

    channel = await (await room.replica(fussy)).channel()
    with pytest.raises(RemoteFailureError, match="KeyError"):
        await call(channel, -1.0)
    assert await call(channel, 1.0) == 1.0
    channel.close()


async def test_a_wrong_secret_loses_the_channel(room: Room) -> None:
    channel = await (await room.replica(echo)).channel(b"a guess")
    with pytest.raises(ChannelLostError):
        await call(channel, 1.0)
    assert not channel.alive


async def test_who_gives_up_leaves_nothing_behind(room: Room) -> None:
    gate = asyncio.Event()

    async def gated(frame: Frame) -> Frame:
        await gate.wait()
        return frame

    channel = await (await room.replica(gated)).channel()
    impatient = asyncio.create_task(call(channel, 1.0))
    await until(lambda: channel.in_flight == 1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert channel.in_flight == 0
    gate.set()
    assert await call(channel, 2.0) == 2.0  # and is not given the answer to the call before
    channel.close()


class Stranger(asyncio.Protocol):
    """Says one thing at once, and never listens."""

    def __init__(self, saying: bytes) -> None:
        self._saying = saying
        self.lines: list[asyncio.Transport] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        transport.write(self._saying)
        self.lines.append(transport)


@asynccontextmanager
async def channel_to_stranger(saying: bytes) -> AsyncIterator[Channel]:
    stranger = Stranger(saying)
    server = await asyncio.get_running_loop().create_server(lambda: stranger, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    channel = await Channel.connect(host, port, SECRET)
    yield channel
    channel.close()
    server.close()
    for line in stranger.lines:
        line.abort()
    await asyncio.sleep(0)  # the loop closes the sockets in its next turn


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack("<I", 20) + bytes(20)]
)
async def test_a_damaged_answer_closes_the_channel(reply: bytes) -> None:
    async with channel_to_stranger(reply) as channel:
        with pytest.raises(ChannelLostError):
            await call(channel, 1.0)
        assert not channel.alive


async def test_an_answer_that_nobody_waits_for_is_passed_over() -> None:
    async with channel_to_stranger(encode(question(9.0), 77, ANSWER)) as channel:
        waiting = asyncio.create_task(call(channel, 1.0))
        await asyncio.sleep(0.02)
        assert channel.alive
        assert not waiting.done()
        channel.close()
        with pytest.raises(ChannelLostError):
            await waiting


async def test_hanging_up_on_a_replica_that_hangs_fails_its_calls_at_once() -> None:
    async with channel_to_stranger(b"") as channel:
        # More than the kernel takes for a peer that does not read.
        large = asyncio.create_task(channel.call(Frame({"load": np.zeros(4_000_000)})))
        small = asyncio.create_task(call(channel, 1.0))
        await until(lambda: channel.in_flight == 2)
        channel.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            for lost in await asyncio.gather(large, small, return_exceptions=True):
                assert isinstance(lost, ChannelLostError)
