import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from deployments.runtime.transport.frame import (
    ANSWER,
    ASK,
    FAILURE,
    HANDSHAKE,
    LARGEST,
    LARGEST_GREETING,
    Frame,
    decode,
    encode,
)
from deployments.runtime.transport.tcp import server
from deployments.runtime.transport.tcp.handshake import Part, proof
from tests.deployments.replicas import SECRET, Replica, Room
from tests.waiting import PATIENCE_SECONDS, until

NONCE = "a number of the gateway's"
QUESTION = Frame({"load": np.array([0.5, 0.25])})


def handshake(offered: object, kind: int = HANDSHAKE) -> bytes:
    return encode(Frame({}, {"nonce": NONCE, "proof": offered}), 0, kind)


def ask(number: int = 1, frame: Frame = QUESTION) -> bytes:
    return encode(frame, number, ASK)


async def double(frame: Frame) -> Frame:
    return Frame({name: 2 * column for name, column in frame.columns.items()})


class Heard:
    """A handler that notes what reached it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    async def __call__(self, frame: Frame) -> Frame:
        self.frames.append(frame)
        return await double(frame)


class Line:
    """A bare connection, on which a test says whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, int, Frame]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            (length,) = struct.unpack("<I", await self._reader.readexactly(4))
            return decode(await self._reader.readexactly(length))

    async def greet(self, replica: Replica) -> None:
        """Greet as a gateway does, and have the replica prove itself."""
        nonces = await self.challenge(), NONCE
        self.say(handshake(proof(SECRET, Part.GATEWAY, replica.address, nonces)))
        _, kind, welcome = await self.answer()
        expected = proof(SECRET, Part.REPLICA, replica.address, nonces)
        assert (kind, welcome.head) == (HANDSHAKE, {"proof": expected})

    async def challenge(self) -> str:
        _, kind, frame = await self.answer()
        assert kind == HANDSHAKE
        return str(frame.head["nonce"])

    async def rest(self) -> bytes:
        """Read until the other end hangs up."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""  # it hung up on what it had not read

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the other end was first


@asynccontextmanager
async def line_to(replica: Replica) -> AsyncIterator[Line]:
    line = Line(*await asyncio.open_connection(*replica.address))
    try:
        yield line
    finally:
        await line.close()


async def test_who_proves_the_secret_is_answered(room: Room) -> None:
    replica = await room.replica(double)
    async with line_to(replica) as line:
        await line.greet(replica)
        line.say(ask(7))
        number, kind, frame = await line.answer()
        assert (number, kind) == (7, ANSWER)
        assert frame.columns["load"].tolist() == [1.0, 0.5]


def good(replica: Replica, challenge: str) -> str:
    return proof(SECRET, Part.GATEWAY, replica.address, (challenge, NONCE))


def elsewhere(replica: Replica) -> tuple[str, int]:
    return replica.address[0], replica.address[1] + 1


@pytest.mark.parametrize(
    "greet",
    [
        lambda *_: handshake("a guess"),
        lambda replica, challenge: handshake(good(replica, challenge)[:-1]),
        lambda *_: handshake(""),
        lambda *_: handshake(None),
        lambda *_: encode(Frame({}, {}), 0, HANDSHAKE),
        lambda *_: encode(Frame({}, {"secret": SECRET.decode()}), 0, HANDSHAKE),
        lambda replica, _: handshake(good(replica, "0" * 32)),
        lambda replica, challenge: handshake(
            proof(SECRET, Part.GATEWAY, elsewhere(replica), (challenge, NONCE))
        ),
        lambda replica, challenge: handshake(
            proof(SECRET, Part.REPLICA, replica.address, (challenge, NONCE))
        ),
        lambda replica, challenge: handshake(good(replica, challenge), ASK),
        lambda *_: b"",
    ],
    ids=[
        "a guess",
        "cut short",
        "empty",
        "null",
        "absent",
        "the secret itself",
        "of another connection",
        "of another address",
        "of a replica",
        "not a handshake",
        "no handshake",
    ],
)
async def test_who_does_not_prove_the_secret_gets_nothing(
    room: Room, greet: Callable[[Replica, str], bytes]
) -> None:
    heard = Heard()
    replica = await room.replica(heard)
    async with line_to(replica) as line:
        line.say(greet(replica, await line.challenge()) + ask())
        assert await line.rest() == b""
    assert heard.frames == []


async def test_who_says_nothing_is_hung_up_on_and_a_gateway_is_not(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GREETING_SECONDS", 1.0)
    replica = await room.replica(double)
    async with line_to(replica) as gateway, line_to(replica) as stranger:
        await gateway.greet(replica)
        await stranger.challenge()
        stranger.say(handshake("")[:10])
        assert await stranger.rest() == b""
        gateway.say(ask())  # which connected first: its time would be over too
        assert (await gateway.answer())[1] == ANSWER


@pytest.mark.parametrize(
    "damage",
    [
        b"GET / HTTP/1.1\r\nHost: ballast\r\n\r\n",
        struct.pack("<I", LARGEST + 1),
        struct.pack("<I", 20) + bytes(20),
        struct.pack("<I", 0),
    ],
    ids=["HTTP", "a giant", "zeros", "nothing"],
)
@pytest.mark.parametrize("greeted", [False, True], ids=["a stranger", "a gateway"])
async def test_a_damaged_frame_ends_its_connection_and_no_other(
    room: Room, greeted: bool, damage: bytes
) -> None:
    heard = Heard()
    replica = await room.replica(heard)
    async with line_to(replica) as other, line_to(replica) as line:
        await other.greet(replica)
        await (line.greet(replica) if greeted else line.challenge())
        line.say(damage)
        assert await line.rest() == b""
        other.say(ask())
        assert (await other.answer())[1] == ANSWER
    assert len(heard.frames) == 1


async def test_a_stranger_cannot_make_it_hold_more_than_a_handshake(room: Room) -> None:
    async with line_to(await room.replica(double)) as line:
        await line.challenge()
        line.say(struct.pack("<I", LARGEST_GREETING + 1))
        assert await line.rest() == b""


async def test_large_batches_pass_once_the_secret_is_proved(room: Room) -> None:
    rows = LARGEST_GREETING
    replica = await room.replica(double)
    async with line_to(replica) as line:
        await line.greet(replica)
        line.say(ask(1, Frame({"load": np.arange(rows, dtype=np.float64)})))
        _, _, frame = await line.answer()
        assert frame.columns["load"].tolist() == [2.0 * row for row in range(rows)]


async def test_a_failure_is_told_by_its_kind_alone_and_the_line_stays(room: Room) -> None:
    async def fussy(frame: Frame) -> Frame:
        if frame.columns["load"][0] < 0:
            raise ValueError("the password is swordfish")
        return await double(frame)

    replica = await room.replica(fussy)
    async with line_to(replica) as line:
        await line.greet(replica)
        line.say(ask(1, Frame({"load": np.array([-1.0])})) + ask(2))
        number, kind, frame = await line.answer()
        assert (number, kind, frame.head) == (1, FAILURE, {"error": "ValueError"})
        assert (await line.answer())[:2] == (2, ANSWER)


async def test_an_answer_that_cannot_be_sent_is_a_failure(room: Room) -> None:
    async def ragged(frame: Frame) -> Frame:
        return Frame({"one": frame.columns["load"], "other": np.zeros(7)})

    replica = await room.replica(ragged)
    async with line_to(replica) as line:
        await line.greet(replica)
        line.say(ask())
        assert (await line.answer())[1] == FAILURE


async def test_an_answer_does_not_wait_for_those_before_it(room: Room) -> None:
    gate = asyncio.Event()

    async def slow_for_one(frame: Frame) -> Frame:
        if frame.columns["load"][0] == 1.0:
            await gate.wait()
        return frame

    replica = await room.replica(slow_for_one)
    async with line_to(replica) as line:
        await line.greet(replica)
        line.say(ask(1, Frame({"load": np.array([1.0])})) + ask(2))
        assert (await line.answer())[0] == 2
        gate.set()
        assert (await line.answer())[0] == 1


async def test_closing_answers_what_came_in_and_takes_nothing_new(room: Room) -> None:
    gate, heard = asyncio.Event(), Heard()

    async def gated(frame: Frame) -> Frame:
        answer = await heard(frame)
        await gate.wait()
        return answer

    replica = await room.replica(gated)
    async with line_to(replica) as line, line_to(replica) as silent:
        await line.greet(replica)
        challenge = await silent.challenge()
        line.say(ask())
        await until(lambda: len(heard.frames) == 1)
        closing = asyncio.create_task(replica.server.close())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*replica.address)
        assert not closing.done()
        gate.set()
        assert (await line.answer())[1] == ANSWER
        await closing
        assert await line.rest() == b""
        # Not even who had not said anything yet may begin now.
        silent.say(handshake(good(replica, challenge)) + ask())
        assert await silent.rest() == b""
    assert len(heard.frames) == 1
