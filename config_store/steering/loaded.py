"""Which replicas have a rollout's candidate loaded, as each of them says every second.

Ages are counted by Redis's clock alone.
"""

from typing import Any

from redis.asyncio import Redis

from settings.redis_names import redis_name

# Who has said nothing for so long is gone, or lost what it had.
SILENT_SECONDS = 10
# After the last word of all.
KEPT_SECONDS = 60

_SAY = """
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], now[1] .. ' ' .. ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
_READ = """
return {redis.call('TIME')[1], redis.call('HGETALL', KEYS[1])}
"""


class LoadedCandidates:
    """The words of the replicas in Redis; nobody says anything while no rollout goes on."""

    def __init__(self, redis: Redis) -> None:
        self._key = redis_name(redis, "config", "loaded")
        self._say = redis.register_script(_SAY)
        self._read = redis.register_script(_READ)

    async def say(self, replica: str, content_hash: str) -> None:
        """Say that this replica can answer by the document with this hash."""
        await self._say(keys=[self._key], args=[replica, content_hash, KEPT_SECONDS])

    async def replicas(self, content_hash: str) -> set[str]:
        """Name those that can answer by this document, and said so just now."""
        found: Any = await self._read(keys=[self._key])
        now, said = int(found[0]), found[1]
        loaded = set()
        for name, word in zip(said[::2], said[1::2], strict=True):
            at, _, which = word.decode().partition(" ")
            if which == content_hash and now - int(at) <= SILENT_SECONDS:
                loaded.add(name.decode())
        return loaded
