"""Where replicas leave their snapshots: one field each of a hash in Redis.

A replica that died leaves its counters to one common field, and its own is dropped: the totals
stay, and the hash holds few more fields than there are replicas. One that was only silent, as a
stopped process is, finds the mark of that when it publishes again: it goes on under a new name, and
counts what it had not counted before.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis

from observability.errors import SnapshotError
from observability.exposition import Snapshot, decode, encode, merge, minus
from settings.redis_names import redis_name

RETIRED = "retired"
# A replica publishes every second, or every 8 s while it is asked nothing. Counted while the one
# that counts is itself awake.
SILENT_S = 60.0
# One that is silent for longer and comes back counts twice what it had counted before.
MARK_S = 30 * 86_400

log = logging.getLogger(__name__)

# One step for Redis: between a look and a write the replica could be retired.
_PUBLISH = """
local retired = redis.call('GET', KEYS[2])
if retired then return retired end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return false
"""

# One that has spoken, or that another gateway retired first, is left alone.
_RETIRE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[3] then return 0 end
if (redis.call('HGET', KEYS[1], ARGV[2]) or '') ~= ARGV[4] then return 0 end
if ARGV[5] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[2], ARGV[5])
    redis.call('SET', KEYS[2], ARGV[6], 'EX', ARGV[7])
end
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
"""


def key(redis: Redis) -> str:
    return redis_name(redis, "metrics", "snapshots")


class Publisher:
    """Leaves the snapshots of one process."""

    def __init__(
        self, redis: Redis, role: str, token: Callable[[int], str] = secrets.token_hex
    ) -> None:
        self._redis = redis
        self._role = role
        self._token = token
        self._publish = redis.register_script(_PUBLISH)
        # What was counted under the names of before, and was left last under this one.
        self._counted: Snapshot | None = None
        self._left: bytes | None = None
        self._name = self._new_name()

    @property
    def name(self) -> str:
        return self._name

    async def publish(self, snapshot: bytes) -> None:
        retired = await self._leave(snapshot)
        while retired is not None:
            # What was left last is what counts, be the mark another release's.
            last = _read(self._name, retired)
            if last is None and self._left is not None:
                last = decode(self._left)
            if counted := [each for each in (self._counted, last) if each is not None]:
                self._counted = _sum(*counted)
            self._name, self._left = self._new_name(), None
            retired = await self._leave(snapshot)

    async def _leave(self, snapshot: bytes) -> bytes | None:
        """Leave the snapshot; answers what this name had left when it was retired, if it was."""
        if self._counted is not None:
            snapshot = encode(minus(decode(snapshot), self._counted))
        answer: bytes | None = await self._publish(
            keys=[key(self._redis), mark_of(self._redis, self._name)], args=[self._name, snapshot]
        )
        if answer is None:
            self._left = snapshot
        return answer

    def _new_name(self) -> str:
        return f"{self._role}-{self._token(8)}"


async def gather(redis: Redis) -> dict[str, bytes]:
    """Fetch what every replica left, also those that died since."""
    # The client answers bytes; redis-py's types allow for one that decodes.
    found: Any = await redis.hgetall(key(redis))
    return {name.decode(): data for name, data in found.items()}


def readable(found: Mapping[str, bytes]) -> list[bytes]:
    """Leave out what another release wrote, or what is damaged: it hides no other replica's."""
    return [data for name, data in found.items() if _read(name, data) is not None]


class Retirement:
    """Finds the replicas that fell silent; `step` is called every few seconds.

    Silence is counted by this process's own clock and looks, so that a machine that was asleep
    finds nobody dead.
    """

    def __init__(
        self, redis: Redis, monotonic: Callable[[], float], silent_s: float = SILENT_S
    ) -> None:
        self._redis = redis
        self._monotonic = monotonic
        self._silent_s = silent_s
        self._seen: dict[str, tuple[bytes, float]] = {}

    async def step(self) -> None:
        now = self._monotonic()
        found = await gather(self._redis)
        found.pop(RETIRED, None)
        before = self._seen
        self._seen = {
            name: before[name] if name in before and before[name][0] == data else (data, now)
            for name, data in found.items()
        }
        for name, (data, since) in self._seen.items():
            if now - since > self._silent_s:
                await retire(self._redis, name, data)


def mark_of(redis: Redis, name: str) -> str:
    return redis_name(redis, "metrics", RETIRED, name)


async def retire(redis: Redis, name: str, last: bytes) -> bool:
    """Fold a replica's last snapshot into the common one; says whether it was still the last.

    One that cannot be read goes without a trace in the totals, so that it is in nobody's way.
    """
    common: Any = await redis.hget(key(redis), RETIRED)
    dead = _read(name, last)
    before = None if common is None else _read(RETIRED, common)
    sums = [b"", b""]
    if dead is not None:
        sums = [encode(_sum(dead, *([before] if before else []))), encode(_sum(dead))]
    # A script and no watched key: all replicas write to the hash, and a sum takes longer than the
    # time between two of them.
    taken = await redis.eval(
        _RETIRE,
        2,
        key(redis),
        mark_of(redis, name),
        *(name, RETIRED, last, b"" if common is None else common, *sums, MARK_S),
    )
    return bool(taken)


def _read(name: str, data: bytes) -> Snapshot | None:
    try:
        return decode(data)
    except SnapshotError as error:
        log.warning("The metrics of %s are left out: %s", name, error)
        return None


def _sum(*taken: Snapshot) -> Snapshot:
    """Add up counters; gauges say nothing once their replica is gone."""
    at = max(each.at for each in taken)
    families = merge(map(encode, taken), now=at, rules={}, stale_after_s=float("-inf"))
    return Snapshot(at, families)
