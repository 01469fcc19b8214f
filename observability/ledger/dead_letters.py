"""Ledger messages that can be neither read nor stored: kept in a stream of their own."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from observability.ledger.stream import FIELD, LedgerStream, Message


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
        fields: Any = {FIELD: message.data, b"id": message.id.encode(), b"why": why.encode()}
        try:
            await self._redis.xadd(self._name, fields, id=message.id)
        except ResponseError:  # ids must rise: it is here already, or older than one that is
            if await self.has(message):
                return False
            await self._redis.xadd(self._name, fields)
        return True

    async def has(self, message: Message) -> bool:
        """Tell whether the message is kept under its own id."""
        return bool(await self._redis.xrange(self._name, message.id, message.id))
