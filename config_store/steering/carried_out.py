"""What was carried out of a request that may come again, so that it is answered as the first time.

The front sends a request to another gateway where one died before it answered. The script that
writes a change notes in the same step that it was made. A refusal changed nothing, and is not kept.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from config_store.steering.commands import Actor, Command, Draft
from settings.redis_names import redis_name

# Far longer than the front tries.
KEPT_SECONDS = 900


class CarriedOut:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def keys(self, by: Actor, commands: Sequence[Command]) -> list[str]:
        """Name where it is noted; nowhere for who asks without a request.

        A request may give several commands, one after another. On the way to another gateway it
        keeps their kinds, and the versions that they are about.
        """
        if not by.request or not commands:
            return []
        said = "+".join(map(_kind, commands))
        return [redis_name(self._redis, "config", "carried_out", by.request, said)]

    async def newest(self, keys: Sequence[str]) -> int | None:
        """Give the newest version after it was carried out; None where it was not."""
        found = await self._redis.get(keys[0]) if keys else None
        return None if found is None else int(found)


def _kind(command: Command) -> str:
    # The number of a draft is given out anew at each try.
    number = command.parent if isinstance(command, Draft) else getattr(command, "number", None)
    return type(command).__name__ + ("" if number is None else f"-{number}")
