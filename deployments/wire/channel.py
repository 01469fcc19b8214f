"""The gateway's end of the wire: one connection to one replica, many calls at once."""

import asyncio
from itertools import count
from typing import Self, cast

from deployments.wire.frame import (
    ANSWER,
    ASK,
    GREETING,
    Assembler,
    DamagedFrameError,
    Frame,
    decode,
    encode,
)


class ChannelLostError(ConnectionError):
    """The replica hung up, or died, before it had answered."""


class RemoteFailureError(Exception):
    """The replica answered that it could not: sending the same again would not help."""


class Channel(asyncio.Protocol):
    """Open while `alive`; a lost one fails every call that waits on it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._assembler = Assembler()
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._transport: asyncio.Transport | None = None
        self.alive = False

    @classmethod
    async def connect(cls, host: str, port: int, secret: bytes) -> Self:
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(lambda: cls(secret), host, port)
        return channel

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    async def call(self, frame: Frame) -> Frame:
        if not self.alive or self._transport is None:
            raise ChannelLostError("the replica's connection is closed")
        number = next(self._numbers) & 0xFFFFFFFF
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._transport.write(encode(frame, number, ASK))
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Hang up at once: a replica that hangs would never take what is still to be sent."""
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        greeting = Frame({}, {"secret": self._secret.decode()})
        self._transport.write(encode(greeting, 0, GREETING))
        self.alive = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ChannelLostError(f"the replica is gone ({exc})"))

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._assembler.feed(data):
                self._settle(*decode(body))
        except DamagedFrameError:
            self.close()

    def _settle(self, number: int, kind: int, frame: Frame) -> None:
        answer = self._waiting.get(number)
        if answer is None or answer.done():
            return  # its caller gave up
        if kind == ANSWER:
            answer.set_result(frame)
        else:
            answer.set_exception(RemoteFailureError(str(frame.head.get("error"))))
