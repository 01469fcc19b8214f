"""Ledger messages that can be neither read nor stored: kept in a stream of their own."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from observability.ledger.stream import FIELD, LedgerStream, Message

# A full Redis refuses what takes memory, unless the script has written already: the first command
# trims nothing, so that the letter is kept and the drain can go on to make room.
KEEP = """
redis.call('XTRIM', KEYS[1], 'MINID', 0)
return redis.call('XADD', KEYS[1], ARGV[1], ARGV[2], ARGV[3], 'id', ARGV[4], 'why', ARGV[5])
"""


class DeadLetters:
    """Nothing trims them: they hold decisions that clients were given."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._name = f"{stream}:damaged"
        self.stream = LedgerStream(redis, name=self._name)

    async def keep(self, message: Message, why: str) -> bool:
        """Keep the message once, however often it is found; says whether it is new here.

        Under its own id, so that a drain that was killed before it trimmed keeps it no second time.
        """
        try:
            await self._add(message.id, message, why)
        except ResponseError:  # ids must rise: it is here already, or older than one that is
            if await self.has(message):
                return False
            await self._add("*", message, why)
        return True

    async def has(self, message: Message) -> bool:
        """Tell whether the message is kept under its own id."""
        return bool(await self._redis.xrange(self._name, message.id, message.id))

    async def _add(self, new_id: str, message: Message, why: str) -> None:
        letter: Any = (new_id, FIELD, message.data, message.id, why)
        await self._redis.eval(KEEP, 1, self._name, *letter)
