"""Which platform writes into a ClickHouse server: a lease that lies in the server itself.

Two platforms that name one server would mix what they measured and decided, and store twice what
both of them follow. So a platform writes as long as its lease is the only one, and another one is
refused, with words, until the first has ended. Of one platform the actor that began last writes.
"""

import secrets
import socket
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.errors import ServerTakenError
from settings.redis_names import redis_name

LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0

# By the server's clock alone. The name is long, for a server may hold what is not ours.
LEASES = """
CREATE TABLE IF NOT EXISTS ballast_leases (
    platform String,
    actor String,
    host String,
    ended UInt8,
    at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(at) ORDER BY platform
"""
_HELD = """
SELECT platform, argMax(actor, at) AS latest, argMax(host, at) AS whose,
       dateDiff('millisecond', max(at), now64(3)) / 1000 AS age, argMax(ended, at) AS is_over
FROM ballast_leases GROUP BY platform ORDER BY platform
"""


@dataclass(frozen=True, slots=True)
class PlatformLease:
    """The latest lease of a platform."""

    platform: str
    actor: str
    host: str
    age_seconds: float
    ended: bool

    @property
    def counts(self) -> bool:
        return not self.ended and self.age_seconds < LEASE_SECONDS


async def platform_id(redis: Redis) -> str:
    """Give what tells this platform from others: whoever has the same Redis is part of it."""
    key = redis_name(redis, "archive", "platform")
    await redis.set(key, secrets.token_hex(16), nx=True)
    found: Any = await redis.get(key)
    return str(found.decode())


class Lease:
    """The lease of one platform's actor."""

    def __init__(self, store: Clickhouse, platform: str) -> None:
        self._store = store
        self._platform = platform
        self._actor = secrets.token_hex(8)

    def look(self) -> None:
        """Raise ServerTakenError where another platform writes into the server."""
        self._store.execute(LEASES)
        self._refuse_others(self._read_holders())

    def take(self) -> None:
        """Take the lease, also from an earlier actor of this platform."""
        self.look()
        self._write()
        try:
            # Who came in between sees this one, or is seen: both may step back, none both stays.
            self._refuse_others(self._read_holders())
        except ServerTakenError:
            self._write(ended=True)
            raise

    def renew(self) -> None:
        """Hold it a while longer; raises ServerTakenError where it is lost."""
        held = self._read_holders()
        self._refuse_others(held)
        if any(each.platform == self._platform and each.actor != self._actor for each in held):
            raise ServerTakenError("A later actor of this platform writes into ClickHouse now")
        self._write()

    def end(self) -> None:
        """Let the next one begin at once."""
        if any(each.actor == self._actor for each in self._read_holders()):
            self._write(ended=True)

    def _read_holders(self) -> list[PlatformLease]:
        return [
            PlatformLease(
                platform=row["platform"],
                actor=row["latest"],
                host=row["whose"],
                age_seconds=float(row["age"]),
                ended=bool(row["is_over"]),
            )
            for row in self._store.query(_HELD)
        ]

    def _refuse_others(self, held: list[PlatformLease]) -> None:
        for each in held:
            if each.platform != self._platform and each.counts:
                raise ServerTakenError(
                    f"Another platform, whose history is on {each.host}, writes into this "
                    f"ClickHouse, {each.age_seconds:.0f} s ago last. Give each a database of its "
                    "own in CLICKHOUSE_URL (?database=NAME), or end the other one; if it was "
                    f"killed, wait {LEASE_SECONDS:.0f} s. Platforms that share a Redis and its "
                    "prefix are one"
                )

    def _write(self, *, ended: bool = False) -> None:
        row = {"platform": self._platform, "actor": self._actor, "host": socket.gethostname()}
        columns: dict[str, Any] = {name: np.array([each]) for name, each in row.items()}
        columns["ended"] = np.array([ended], dtype=np.uint8)
        self._store.insert("ballast_leases", columns)
