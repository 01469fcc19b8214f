"""The gateway's end of the wire: one connection to one replica, many calls at once."""

import asyncio
import ssl
from collections.abc import Callable
from itertools import count
from typing import Self, cast

from deployments.runtime.transport.base import (
    Address,
    ReplicaLostError,
    VersionLackedError,
    remote_failure,
)
from deployments.runtime.transport.frame import (
    ANSWER,
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


class Channel(asyncio.Protocol):
    """Open while `alive`; a lost one fails every call that waits on it.

    It is alive once each end has proved that it has the secret.

    A call whose caller gives up ends alone: the replica is told, the other calls go on, and what
    still comes for it is passed over. Until that comes it counts as in flight.
    """

    def __init__(
        self, secret: bytes, address: Address, on_lost: Callable[[], None] = lambda: None
    ) -> None:
        """Take what is to be called once a connection that was alive is lost."""
        self._on_lost = on_lost
        self._was_alive = False
        self._secret = secret
        self._address = address
        # The proof that the replica owes; nothing before it has sent its own number.
        self._expected: str | None = None
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._assembler = Assembler(LARGEST_GREETING)
        self._numbers = count(1)
        # None: nobody waits any more, or it is a ping.
        self._waiting: dict[int, asyncio.Future[Frame] | None] = {}
        self._pinged: int | None = None
        # The hashes of the documents that the replica holds, by its last answer to a ping; None
        # before the first one.
        self.holds: frozenset[str] | None = None
        self._refused: set[str] = set()
        # Since when the replica owes an answer and has sent nothing at all.
        self._silent_since: float | None = None
        self._transport: asyncio.Transport | None = None
        self.alive = False

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        secret: bytes,
        tls: ssl.SSLContext | None = None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> Self:
        """Connect, and wait until the replica has proved itself: ReplicaLostError if it cannot."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(
            lambda: cls(secret, (host, port), on_lost), host, port, ssl=tls
        )
        try:
            await channel._greeted  # noqa: SLF001 - its own
        except BaseException:
            channel.close()
            raise
        return channel

    @property
    def in_flight(self) -> int:
        return len(self._waiting) - (self._pinged is not None)

    @property
    def silent_seconds(self) -> float:
        """Say for how long the replica has owed something and sent nothing."""
        if self._silent_since is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._silent_since

    async def call(self, frame: Frame) -> Frame:
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        number = self._send(frame, ASK, answer)
        try:
            return await answer
        except VersionLackedError:
            self._refused.add(str(frame.head.get("config_hash")))
            raise
        finally:
            if not answer.done() or answer.cancelled():
                self._give_up(number)

    def lacks(self, config_hash: str) -> bool:
        """Tell whether the replica said that it holds others than this one; it may read it yet."""
        return self.holds is not None and config_hash not in self.holds

    def refused(self, config_hash: str) -> bool:
        """Tell whether it could not have this one, and has not said since that it holds it."""
        return config_hash in self._refused

    def ping(self) -> None:
        """Have the replica say that it lives, where it does not owe that already."""
        if self._pinged is None and self.alive:
            self._pinged = self._send(Frame({}), PING, None)

    def _send(self, frame: Frame, kind: int, answer: "asyncio.Future[Frame] | None") -> int:
        if not self.alive or self._transport is None:
            raise ReplicaLostError("the replica's connection is closed")
        number = next(self._numbers) & 0xFFFFFFFF
        encoded = encode(frame, number, kind)  # first: what cannot be encoded waits for nothing
        if self._silent_since is None:
            self._silent_since = asyncio.get_running_loop().time()
        self._waiting[number] = answer
        self._transport.write(encoded)
        return number

    def _give_up(self, number: int) -> None:
        if self.alive and self._transport is not None and number in self._waiting:
            self._waiting[number] = None
            self._transport.write(encode(Frame({}), number, GIVEN_UP))

    def close(self) -> None:
        """Hang up at once: a replica that hangs would never take what is still to be sent."""
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if not self._greeted.done():
            self._greeted.set_exception(
                ReplicaLostError("the process that listens there is not a replica")
            )
        for answer in self._waiting.values():
            if answer is not None and not answer.done():
                answer.set_exception(
                    ReplicaLostError(f"the connection to the replica was lost ({exc})")
                )
        if self._was_alive:
            self._on_lost()

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._assembler.feed(data):
                self._take(*decode(body))
        except DamagedFrameError:
            self.close()
        owing = bool(self._waiting)
        self._silent_since = asyncio.get_running_loop().time() if owing else None

    def _take(self, number: int, kind: int, frame: Frame) -> None:
        if self.alive:
            self._settle(number, kind, frame)
        elif self._expected is None:
            self._prove(frame)
        elif kind == HANDSHAKE and proves(frame.head.get("proof"), self._expected):
            self.alive = self._was_alive = True
            self._assembler.largest = LARGEST
            self._greeted.set_result(None)
        else:
            self.close()

    def _prove(self, challenge: Frame) -> None:
        nonces = str(challenge.head.get("nonce")), nonce()
        proofs = {part: proof(self._secret, part, self._address, nonces) for part in Part}
        self._expected = proofs[Part.REPLICA]
        head = {"nonce": nonces[1], "proof": proofs[Part.GATEWAY]}
        if self._transport is not None:
            self._transport.write(encode(Frame({}, head), 0, HANDSHAKE))

    def _settle(self, number: int, kind: int, frame: Frame) -> None:
        answer = self._waiting.pop(number, None)
        if kind == PONG:
            self._pinged = None
            self._take_holdings(frame.head.get("holds"))
        if answer is None or answer.done():
            return  # its caller gave up
        if kind == ANSWER:
            answer.set_result(frame)
        else:
            answer.set_exception(remote_failure(str(frame.head.get("error"))))

    def _take_holdings(self, holds: object) -> None:
        if isinstance(holds, list):
            self.holds = frozenset(map(str, holds))
            self._refused -= self.holds
