"""The heads of the chains as the last good audit saw them, kept in Redis.

A chain that was cut at its end is sound in itself. Only who knows an entry beyond can tell.
"""

from collections.abc import Mapping

import orjson
from redis.asyncio import Redis

from observability.ledger.verify import Head
from settings.redis_names import redis_name


def _key(redis: Redis) -> str:
    return redis_name(redis, "ledger", "heads")


async def read(redis: Redis) -> dict[str, Head]:
    found = await redis.get(_key(redis))
    if found is None:
        return {}
    return {
        writer: Head(seq, bytes.fromhex(entry_hash))
        for writer, (seq, entry_hash) in orjson.loads(found).items()
    }


async def note(redis: Redis, heads: Mapping[str, Head]) -> None:
    form = {writer: (head.seq, head.entry_hash.hex()) for writer, head in heads.items()}
    await redis.set(_key(redis), orjson.dumps(form))


async def forget(redis: Redis) -> None:
    """Know of no chain, as before the first audit: when an archive is given up."""
    await redis.delete(_key(redis))
