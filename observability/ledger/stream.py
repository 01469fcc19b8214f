"""The ledger's write-ahead log: a Redis stream whose every message is one encoded entry."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from observability.errors import DamagedEntryError
from observability.ledger.entry import Entry, decode
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

FIELD = b"e"
START = "-"
END = "+"

# By default redis-py tries an absent Redis for seconds, again for every command.
READ_TIMEOUT_S = 1.0
BULK_TIMEOUT_S = 10.0

# Redis copies this much in about half a millisecond, and answers nobody else meanwhile.
PIECE_BYTES = 256 * 1024
FIRST_PIECE = 4

# What an absent, overfull, loading or stuck Redis raises.


@dataclass(frozen=True, slots=True)
class SendResult:
    """How far a send came: the ids of the first entries, and what stopped the rest."""

    ids: list[str]
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Which run of Redis answers: it has another id after every restart."""

    id: str
    written: bool
    """Whether all that it took before it was asked is in its file, where a kill takes nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the stream: its id, and the bytes that should be an entry."""

    id: str
    data: bytes


class LedgerStream:
    """The stream behind a client that answers bytes (not `decode_responses`)."""

    def __init__(self, redis: Redis, *, name: str | None = None, timeout_s: float = 0.3) -> None:
        self.redis = redis
        self.name = name or redis_name(redis, "ledger")
        self._timeout_s = timeout_s

    async def send(self, entries: Sequence[bytes], within_s: float | None = None) -> SendResult:
        """Append in order over one connection, as one write. Never raises for an absent Redis.

        One that takes longer counts as absent.
        """
        if not entries:
            return SendResult([])
        try:
            async with asyncio.timeout(self._timeout_s if within_s is None else within_s):
                answers = await self._add(entries)
        except REDIS_AWAY as error:
            return SendResult([], error)
        ids: list[str] = []
        for answer in answers:
            if isinstance(answer, Exception):
                return SendResult(ids, answer)
            ids.append(answer.decode())
        return SendResult(ids)

    async def run(self) -> Run:
        """Ask which run of Redis answers, and what it has written."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.info("server")
        pipe.info("persistence")
        async with asyncio.timeout(self._timeout_s):
            server, persistence = await pipe.execute()
        held_back = persistence.get("aof_buffer_length")  # there is none without a file
        return Run(server["run_id"], written=held_back == 0)

    async def missing(self, ids: Sequence[str]) -> list[int]:
        """Which of these messages the stream does not hold, by their place in the list."""
        if not ids:
            return []
        pipe = self.redis.pipeline(transaction=False)
        for message_id in ids:
            pipe.xrange(self.name, message_id, message_id)
        async with asyncio.timeout(BULK_TIMEOUT_S):
            return [place for place, found in enumerate(await pipe.execute()) if not found]

    async def read(self, after: str | None, count: int) -> list[Message]:
        """Messages in order, from the oldest or from behind an id."""
        start = START if after is None else f"({after}"
        async with asyncio.timeout(BULK_TIMEOUT_S):
            return _messages(await self.redis.xrange(self.name, start, END, count=count))

    async def at(self, ids: Sequence[str]) -> list[Message | None]:
        """Read single messages, asked for as one write; none for each that was trimmed."""
        pipe = self.redis.pipeline(transaction=False)
        for message_id in ids:
            pipe.xrange(self.name, message_id, message_id)
        async with asyncio.timeout(BULK_TIMEOUT_S):
            answers = await pipe.execute() if ids else []
        return [next(iter(_messages(each)), None) for each in answers]

    async def read_in_pieces(self, after: str | None, count: int) -> list[Message]:
        """Read messages as `read` does, in pieces between which Redis answers others."""
        found: list[Message] = []
        most = FIRST_PIECE
        while len(found) < count:
            asked = min(most, count - len(found))
            piece = await self.read(found[-1].id if found else after, asked)
            found += piece
            if len(piece) < asked:
                break
            most = _next_piece(most, piece)
        return found

    async def newest_first(self, chunk: int = 32) -> AsyncIterator[Message]:
        """Read backwards, so many messages at once, or fewer where they are large."""
        end, most = END, FIRST_PIECE
        while found := await self._read_back(end, min(most, chunk)):
            for message in found:
                yield message
            end, most = f"({found[-1].id}", _next_piece(most, found)

    async def messages(self, chunk: int = 256, after: str | None = None) -> AsyncIterator[Message]:
        """Every message, oldest first, or those behind an id."""
        while found := await self.read_in_pieces(after, chunk):
            for message in found:
                yield message
            after = found[-1].id

    async def entries(self) -> AsyncIterator[Entry]:
        """Every entry that can be read, oldest first; what cannot is logged and passed over."""
        async for message in self.messages():
            entry = readable(message)
            if entry is not None:
                yield entry

    async def _read_back(self, end: str, count: int) -> list[Message]:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return _messages(await self.redis.xrevrange(self.name, end, START, count=count))

    async def _add(self, entries: Sequence[bytes]) -> list[Any]:
        if len(entries) == 1:
            return [await self.redis.xadd(self.name, {FIELD: entries[0]})]
        pipe = self.redis.pipeline(transaction=False)
        for entry in entries:
            pipe.xadd(self.name, {FIELD: entry})
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers


def readable(message: Message) -> Entry | None:
    try:
        return decode(message.data)
    except DamagedEntryError as error:
        log.error("ledger message %s cannot be read: %s", message.id, error)  # noqa: TRY400 - the trace says no more
        return None


def _next_piece(most: int, piece: Sequence[Message]) -> int:
    """Say how many messages to read at once behind a piece of at most so many."""
    size = max(len(message.data) for message in piece)
    # Messages grow and shrink with the load: one piece says little of the next.
    return max(1, min(2 * most, PIECE_BYTES // max(size, 1)))


def _messages(found: Any) -> list[Message]:
    return [Message(key.decode(), fields.get(FIELD, b"")) for key, fields in found]
