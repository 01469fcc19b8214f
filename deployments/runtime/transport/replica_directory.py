"""Which replicas there are: each signs a hash in Redis, and every gateway reads all of it at once.

A replica writes its time beside its address again and again. A gateway compares that time only with
what it read before, never with its own clock: the clocks of two nodes may differ. So it must see an
entry that may be old change once before it connects there, since after a restart somebody else may
listen on the port of a replica that died.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from deployments.runtime.transport.base import Address
from observability.background import BackgroundLoop, Loops
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

# Together less than a second: so soon a gateway knows a replica that begins to answer.
SIGN_SECONDS = 0.4
READ_SECONDS = 0.4
# A replica that has not signed for so long is dead, or its Redis is away.
STALE_SECONDS = 3.0

Clock = Callable[[], float]


def key(redis: Redis) -> str:
    return redis_name(redis, "replicas")


class DirectoryEntry:
    """One replica's own entry: `sign` is called again and again, `withdraw` at its end."""

    def __init__(self, redis: Redis, stage: str, address: Address, wall: Clock) -> None:
        self._redis = redis
        self._field = f"{stage} {address[0]}:{address[1]}"
        self._wall = wall

    async def sign(self) -> None:
        await self._redis.hset(key(self._redis), self._field, repr(self._wall()))

    async def withdraw(self) -> None:
        """Say that nobody is to come any more; where Redis is away, the entry grows stale."""
        with suppress(*REDIS_AWAY):
            await self._redis.hdel(key(self._redis), self._field)


@dataclass(slots=True)
class _Seen:
    heartbeat: bytes
    since: float
    live: bool


class ReplicaDirectory:
    """What one gateway knows of the entries; `read` is called again and again."""

    def __init__(self, redis: Redis, monotonic: Clock) -> None:
        self._redis = redis
        self._monotonic = monotonic
        self._seen: dict[bytes, _Seen] = {}
        self._read_at = float("-inf")

    async def read(self) -> dict[str, frozenset[Address]]:
        """Give each stage's replicas, and drop the entries of those that died."""
        # The client answers bytes; redis-py's types allow for one that decodes.
        found: Any = await self._redis.hgetall(key(self._redis))
        now = self._monotonic()
        continuous, self._read_at = now - self._read_at <= STALE_SECONDS, now
        self._seen = {
            entry: self._judge(self._seen.get(entry), heartbeat, now, continuous=continuous)
            for entry, heartbeat in found.items()
        }
        if stale := [each for each, seen in self._seen.items() if now - seen.since > STALE_SECONDS]:
            await self._redis.hdel(key(self._redis), *stale)
        live = {entry for entry, seen in self._seen.items() if seen.live}
        return _by_stage(live.difference(stale))

    def _judge(
        self, before: _Seen | None, heartbeat: bytes, now: float, *, continuous: bool
    ) -> _Seen:
        if before is None:  # what was not there a moment ago was signed since
            return _Seen(heartbeat, now, live=continuous)
        return before if before.heartbeat == heartbeat else _Seen(heartbeat, now, live=True)


def _by_stage(entries: Iterable[bytes]) -> dict[str, frozenset[Address]]:
    found: dict[str, set[Address]] = {}
    for entry in entries:
        with suppress(ValueError):  # another release's
            stage, address = entry.decode().split(" ")
            host, _, port = address.rpartition(":")
            found.setdefault(stage, set()).add((host, int(port)))
    return {stage: frozenset(addresses) for stage, addresses in found.items()}


@dataclass(slots=True)
class Listing:
    """One stage's replicas as the directory has them; none while Redis is away."""

    addresses: frozenset[Address] = frozenset()
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, addresses: frozenset[Address]) -> None:
        if addresses != self.addresses:
            self.addresses = addresses
            self.changed.set()


class DirectoryWatch:
    """Keeps the listings of all stages up to date, by one read for all of them."""

    def __init__(self, directory: ReplicaDirectory, loops: Loops) -> None:
        self._directory = directory
        self._loops = loops
        self._listings: dict[str, Listing] = {}
        self._reading: BackgroundLoop | None = None

    def listing(self, stage: str) -> Listing:
        return self._listings.setdefault(stage, Listing())

    def start(self) -> None:
        self._reading = self._loops.start(
            "read the replica directory", self._read, lambda: READ_SECONDS, expected=REDIS_AWAY
        )

    async def stop(self) -> None:
        if self._reading is not None:
            await self._loops.stop(self._reading)

    async def _read(self) -> None:
        found: dict[str, frozenset[Address]] = {}
        try:
            found = await self._directory.read()
        finally:
            for stage, listing in self._listings.items():
                listing.update(found.get(stage, frozenset()))
