"""The replica's end of the wire: answers frames, for those who know the platform's secret."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import cast

from deployments.runtime.transport.base import Address
from deployments.runtime.transport.call import Call, Handler, answer_call
from deployments.runtime.transport.frame import (
    ASK,
    GIVEN_UP,
    HANDSHAKE,
    LARGEST,
    LARGEST_GREETING,
    PING,
    PONG,
    Assembler,
    DamagedFrameError,
    Frame,
    decode,
    encode,
)
from deployments.runtime.transport.tcp.handshake import Part, nonce, proof, proves

# A gateway proves at once that it has the secret; others must not hold file descriptors.
GREETING_SECONDS = 5.0

log = logging.getLogger(__name__)


class WireServer:
    """Listens on the node's own address; one for a replica."""

    def __init__(
        self, handler: Handler, secret: bytes, holds: Callable[[], Sequence[str]] | None = None
    ) -> None:
        """Take what names the documents that the replica holds, where it answers by such."""
        self._handler = handler
        self._secret = secret
        self._holds = holds
        self._address: Address = ("", 0)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def open(self, host: str, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self),
            host,
            0,
            ssl=tls,
            ssl_handshake_timeout=GREETING_SECONDS if tls else None,
        )
        self._address = host, self._server.sockets[0].getsockname()[1]
        return self._address

    async def close(self) -> None:
        """Take nothing new, answer what came in, and hang up."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            await connection.finish()

    def own_proof(self, handshake: Frame, own_nonce: str) -> str | None:
        """Give the proof for a gateway; None for who has not proved itself."""
        nonces = own_nonce, str(handshake.head.get("nonce"))
        expected = proof(self._secret, Part.GATEWAY, self._address, nonces)
        if not proves(handshake.head.get("proof"), expected):
            return None
        return proof(self._secret, Part.REPLICA, self._address, nonces)

    def pong(self, number: int) -> bytes:
        head = {} if self._holds is None else {"holds": list(self._holds())}
        return encode(Frame({}, head), number, PONG)

    async def answer(self, number: int, frame: Frame, call: Call) -> bytes:
        return await answer_call(self._handler, number, frame, call)

    def came(self, connection: "_Connection") -> None:
        self._connections.add(connection)

    def left(self, connection: "_Connection") -> None:
        self._connections.discard(connection)


class _Connection(asyncio.Protocol):
    """One gateway's line; answers nothing until it has proved that it has the secret."""

    def __init__(self, server: WireServer) -> None:
        self._server = server
        self._assembler = Assembler(LARGEST_GREETING)
        self._nonce = nonce()
        self._greeted = False
        self._answering: set[asyncio.Task[None]] = set()
        self._calls: dict[int, Call] = {}
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(GREETING_SECONDS, self._hang_up)
        self._server.came(self)
        self._write(encode(Frame({}, {"nonce": self._nonce}), 0, HANDSHAKE))

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            log.info("The connection to a gateway was lost: %s", exc)
        self._end_patience()
        for call in self._calls.values():
            call.given_up = True
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._assembler.feed(data):
                self._take(*decode(body))
        except DamagedFrameError as damage:
            log.warning("A connection is closed because of a damaged frame: %s", damage)
            self._hang_up()

    async def finish(self) -> None:
        if self._answering:
            await asyncio.wait(self._answering)
        self._hang_up()

    def _take(self, number: int, kind: int, frame: Frame) -> None:
        if not self._greeted:
            self._greet(kind, frame)
        elif kind == ASK:
            call = self._calls[number] = Call()
            task = asyncio.ensure_future(self._answer(number, frame, call))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif kind == GIVEN_UP and number in self._calls:
            self._calls[number].give_up()
        elif kind == PING:
            self._write(self._server.pong(number))

    def _greet(self, kind: int, frame: Frame) -> None:
        own_proof = self._server.own_proof(frame, self._nonce) if kind == HANDSHAKE else None
        if own_proof is None:
            self._hang_up()
            return
        self._greeted = True
        self._end_patience()
        self._assembler.largest = LARGEST
        self._write(encode(Frame({}, {"proof": own_proof}), 0, HANDSHAKE))

    async def _answer(self, number: int, frame: Frame, call: Call) -> None:
        answer = await self._server.answer(number, frame, call)
        self._calls.pop(number, None)
        self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()
