import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from deployments.runtime.transport.base import RemoteFailureError, ReplicaLostError
from deployments.runtime.transport.call import GivenUpError, given_up
from deployments.runtime.transport.frame import ANSWER, HANDSHAKE, Frame, body_of, decode, encode
from deployments.runtime.transport.tcp.channel import Channel
from deployments.runtime.transport.tcp.handshake import Part, nonce, proof
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
        assert isinstance(lost, ReplicaLostError)
    assert not channel.alive
    with pytest.raises(ReplicaLostError):
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


async def test_what_cannot_be_encoded_leaves_nothing_behind(room: Room) -> None:
    channel = await (await room.replica(echo)).channel()
    with pytest.raises(TypeError):
        await channel.call(Frame({}, {"odd": object()}))
    assert channel.in_flight == 0
    assert channel.silent_seconds == 0
    assert await call(channel, 1.0) == 1.0
    channel.close()


async def test_a_wrong_secret_opens_no_channel(room: Room) -> None:
    replica = await room.replica(echo)
    with pytest.raises(ReplicaLostError):
        await replica.channel(b"a guess")


class Impostor(asyncio.Protocol):
    """Listens where a replica did, without the secret: notes what it hears, and answers as told."""

    def __init__(self, proof_of: Callable[[Frame], object]) -> None:
        self._proof_of = proof_of
        self.heard = b""
        self._line: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._line = transport
        transport.write(encode(Frame({}, {"nonce": "0" * 32}), 0, HANDSHAKE))

    def data_received(self, data: bytes) -> None:
        self.heard += data
        _, _, handshake = decode(body_of(data))
        assert self._line is not None
        self._line.write(encode(Frame({}, {"proof": self._proof_of(handshake)}), 0, HANDSHAKE))


@pytest.mark.parametrize(
    "proof_of",
    [lambda _: None, lambda _: "0" * 64, lambda handshake: handshake.head["proof"]],
    ids=["none", "a guess", "the gateway's own"],
)
async def test_who_listens_where_a_replica_did_is_not_believed_and_learns_no_secret(
    proof_of: Callable[[Frame], object],
) -> None:
    impostor = Impostor(proof_of)
    server = await asyncio.get_running_loop().create_server(lambda: impostor, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ReplicaLostError):
            await Channel.connect(host, port, SECRET)
    server.close()
    assert impostor.heard
    assert SECRET not in impostor.heard


async def test_a_listener_cannot_pass_a_gateways_handshake_on_to_a_replica(room: Room) -> None:
    replica = await room.replica(echo)
    onward: list[asyncio.StreamWriter] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_replica = await asyncio.open_connection(*replica.address)
        onward.extend((writer, to_replica))
        writer.write(await there.read(4096))
        to_replica.write(await reader.read(4096))
        writer.write(await there.read(4096))
        writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ReplicaLostError):
            await Channel.connect(host, port, SECRET)
    server.close()
    for each in onward:
        each.close()


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
    gate.set()
    assert await call(channel, 2.0) == 2.0  # and is not given the answer to the call before
    assert channel.in_flight == 0
    channel.close()


class Odd(asyncio.Protocol):
    """Greets as a replica does, says one thing, and never listens again."""

    def __init__(self, saying: bytes) -> None:
        self._saying = saying
        self._nonce = nonce()
        self.lines: list[asyncio.Transport] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(encode(Frame({}, {"nonce": self._nonce}), 0, HANDSHAKE))
        self.lines.append(transport)

    def data_received(self, data: bytes) -> None:
        _, _, handshake = decode(body_of(data))
        line, nonces = self.lines[-1], (self._nonce, handshake.head["nonce"])
        own = proof(SECRET, Part.REPLICA, line.get_extra_info("sockname"), nonces)
        line.pause_reading()
        line.write(encode(Frame({}, {"proof": own}), 0, HANDSHAKE) + self._saying)


@asynccontextmanager
async def channel_to_odd_replica(saying: bytes) -> AsyncIterator[Channel]:
    odd = Odd(saying)
    server = await asyncio.get_running_loop().create_server(lambda: odd, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    channel = await Channel.connect(host, port, SECRET)
    yield channel
    channel.close()
    server.close()
    for line in odd.lines:
        line.abort()
    await asyncio.sleep(0)  # the loop closes the sockets in its next turn


async def test_a_call_that_is_given_up_ends_alone(room: Room) -> None:
    gates = {1.0: asyncio.Event(), 2.0: asyncio.Event()}

    async def gated(frame: Frame) -> Frame:
        await gates[value_of(frame)].wait()
        return frame

    channel = await (await room.replica(gated)).channel()
    other = asyncio.create_task(call(channel, 2.0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await channel.call(question(1.0))
    assert channel.in_flight == 2  # the replica is not free of it yet
    gates[1.0].set()
    await until(lambda: channel.in_flight == 1)
    gates[2.0].set()
    assert await other == 2.0
    channel.close()


async def test_a_replica_hears_that_nobody_waits_and_does_not_begin_with_what_it_has_not(
    room: Room,
) -> None:
    turn, done, gave_up = asyncio.Lock(), list[float](), list[float]()

    async def one_by_one(frame: Frame) -> Frame:
        async with turn:
            if given_up():
                gave_up.append(value_of(frame))
                raise GivenUpError
            done.append(value_of(frame))
        return frame

    channel = await (await room.replica(one_by_one)).channel()
    await turn.acquire()
    late = asyncio.create_task(channel.call(question(1.0)))
    patient = asyncio.create_task(call(channel, 2.0))
    await until(lambda: channel.in_flight == 2)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    await call_of_ping(channel)  # what was said before it has been heard
    turn.release()
    assert await patient == 2.0
    assert (done, gave_up) == ([2.0], [1.0])
    await until(lambda: channel.in_flight == 0)
    channel.close()


async def call_of_ping(channel: Channel) -> None:
    channel.ping()
    await until(lambda: channel._pinged is None)


async def test_frames_that_lay_unread_in_a_replica_that_hung_are_not_answered_any_more(
    room: Room,
) -> None:
    begun = list[float]()

    async def noting(frame: Frame) -> Frame:
        begun.append(value_of(frame))
        return frame

    channel = await (await room.replica(noting)).channel()
    late = asyncio.create_task(channel.call(question(1.0)))
    await asyncio.sleep(0)  # it is sent, and the replica has not read it
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    assert await call(channel, 2.0) == 2.0
    assert begun == [2.0]
    assert channel.in_flight == 0
    channel.close()


async def test_silence_is_counted_while_something_is_owed(room: Room) -> None:
    gate = asyncio.Event()

    async def gated(frame: Frame) -> Frame:
        await gate.wait()
        return frame

    channel = await (await room.replica(gated)).channel()
    assert channel.silent_seconds == 0.0
    waiting = asyncio.create_task(call(channel, 1.0))
    await until(lambda: channel.silent_seconds > 0.05)
    pinged = time.monotonic()
    await call_of_ping(channel)
    assert channel.silent_seconds < time.monotonic() - pinged  # it is slow, and lives
    gate.set()
    await waiting
    assert channel.silent_seconds == 0.0
    channel.close()


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack("<I", 20) + bytes(20)]
)
async def test_a_damaged_answer_closes_the_channel(reply: bytes) -> None:
    async with channel_to_odd_replica(reply) as channel:
        with pytest.raises(ReplicaLostError):
            await call(channel, 1.0)
        assert not channel.alive


async def test_an_answer_that_nobody_waits_for_is_passed_over() -> None:
    async with channel_to_odd_replica(encode(question(9.0), 77, ANSWER)) as channel:
        waiting = asyncio.create_task(call(channel, 1.0))
        await asyncio.sleep(0.02)
        assert channel.alive
        assert not waiting.done()
        channel.close()
        with pytest.raises(ReplicaLostError):
            await waiting


async def test_hanging_up_on_a_replica_that_hangs_fails_its_calls_at_once() -> None:
    async with channel_to_odd_replica(b"") as channel:
        # More than the kernel takes for a peer that does not read.
        large = asyncio.create_task(channel.call(Frame({"load": np.zeros(4_000_000)})))
        small = asyncio.create_task(call(channel, 1.0))
        await until(lambda: channel.in_flight == 2)
        channel.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            for lost in await asyncio.gather(large, small, return_exceptions=True):
                assert isinstance(lost, ReplicaLostError)
