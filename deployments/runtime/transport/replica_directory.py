"""Which replicas there are: each signs a hash in Redis, and every gateway reads all of it at once.

The time beside a replica's address is written again and again, with the report that it makes each
second (Replica), and by the clock of Redis alone: the clocks of two nodes may differ. An entry that
was old when it was first read must change once before a gateway connects there, since after a
restart somebody else may listen on the port of a replica that died. Later a gateway counts by its
own clock for how long an entry has stayed the same, so that a clock that is set drops nobody.
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

# Less than a second: so soon a gateway knows a replica that begins to answer.
READ_SECONDS = 0.8
# A replica that has not signed for so long is dead, or its Redis is away.
STALE_SECONDS = 3.0

# The same time as in the report of a replica (config_store/running.py).
_SIGN = """
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d.%06d', now[1], now[2]))
"""
_READ = """
local now = redis.call('TIME')
return {string.format('%d.%06d', now[1], now[2]), redis.call('HGETALL', KEYS[1])}
"""

Clock = Callable[[], float]


def key(redis: Redis) -> str:
    return redis_name(redis, "replicas")


class DirectoryEntry:
    """One replica's own entry: `sign` is called at its begin, `withdraw` at its end."""

    def __init__(self, redis: Redis, stage: str, address: Address) -> None:
        self._redis = redis
        self._sign = redis.register_script(_SIGN)
        self._field = f"{stage} {address[0]}:{address[1]}"

    @property
    def place(self) -> tuple[str, str]:
        """Name the hash and the field where the time is to be written from then on."""
        return key(self._redis), self._field

    async def sign(self) -> None:
        await self._sign(keys=[key(self._redis)], args=[self._field])

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
        self._look = redis.register_script(_READ)
        self._monotonic = monotonic
        self._seen: dict[bytes, _Seen] = {}
        self._read_at = float("-inf")

    async def read(self) -> dict[str, frozenset[Address]]:
        """Give each stage's replicas, and drop the entries of those that died."""
        # The client answers bytes; redis-py's types allow for one that decodes.
        answer: Any = await self._look(keys=[key(self._redis)])
        wall, flat, now = float(answer[0]), answer[1], self._monotonic()
        continuous, self._read_at = now - self._read_at <= STALE_SECONDS, now
        self._seen = {
            entry: self._judge(
                self._seen.get(entry),
                heartbeat,
                now,
                live=continuous or _is_fresh(heartbeat, wall),
            )
            for entry, heartbeat in zip(flat[::2], flat[1::2], strict=True)
        }
        if stale := [each for each, seen in self._seen.items() if now - seen.since > STALE_SECONDS]:
            await self._redis.hdel(key(self._redis), *stale)
        live = {entry for entry, seen in self._seen.items() if seen.live}
        return _by_stage(live.difference(stale))

    def _judge(self, before: _Seen | None, heartbeat: bytes, now: float, *, live: bool) -> _Seen:
        if before is None:  # what was not there a moment ago was signed since
            return _Seen(heartbeat, now, live=live)
        return before if before.heartbeat == heartbeat else _Seen(heartbeat, now, live=True)


def _is_fresh(heartbeat: bytes, wall: float) -> bool:
    """Tell whether an entry was signed a moment ago; one of the future says nothing."""
    with suppress(ValueError):  # another release's
        return 0.0 <= wall - float(heartbeat) <= STALE_SECONDS
    return False


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
