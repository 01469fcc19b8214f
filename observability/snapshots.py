"""Where replicas leave their snapshots: one field each of a hash in Redis."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import WatchError

from observability.exposition import Snapshot, decode, encode, merge
from settings.redis_names import redis_name

RETIRED = "retired"
SILENT_S = 24 * 3600.0


def key(redis: Redis) -> str:
    return redis_name(redis, "metrics", "snapshots")


async def publish(redis: Redis, replica: str, snapshot: bytes) -> None:
    """Leave a snapshot. The replica's name must be new for each process, or counters go back."""
    await redis.hset(key(redis), replica, snapshot)


async def gather(redis: Redis) -> dict[str, bytes]:
    """Fetch what every replica left, also those that died since."""
    return _named(await redis.hgetall(key(redis)))


async def retire(redis: Redis, *, now: float, silent_s: float = SILENT_S) -> list[str]:
    """Fold replicas that were silent for long into one field, so that the hash stays small.

    Their gauges are gone, their counters stay in every sum. A silence this long is a death: a
    replica that spoke again afterwards would be counted twice.
    """
    async with redis.pipeline() as pipe:
        await pipe.watch(key(redis))
        found = _named(await pipe.hgetall(key(redis)))
        silent = [
            name
            for name, data in found.items()
            if name != RETIRED and now - decode(data).at > silent_s
        ]
        if not silent:
            return []
        folded = [found[name] for name in (*silent, RETIRED) if name in found]
        # Nothing is young enough for its gauges to pass.
        families = merge(folded, now=now, rules={}, stale_after_s=float("-inf"))
        pipe.multi()  # type: ignore[no-untyped-call]  # redis-py left it out
        pipe.hset(key(redis), RETIRED, encode(Snapshot(now, families)))
        pipe.hdel(key(redis), *silent)
        try:
            await pipe.execute()
        except WatchError:  # somebody published meanwhile: the next round will do it
            return []
    return silent


def _named(found: Any) -> dict[str, bytes]:
    # The client answers bytes; redis-py's types allow for one that decodes.
    return {name.decode(): data for name, data in found.items()}
