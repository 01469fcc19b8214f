"""How far ClickHouse is behind the ledger's stream: read off Redis, whoever drains or does not."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from observability.ledger.stream import LedgerStream


def drained_key(stream: str) -> str:
    """Where the drain notes the last message that it is done with."""
    return f"{stream}:drained"


def order(message_id: str) -> tuple[int, int]:
    ms, _, seq = message_id.partition("-")
    return int(ms), int(seq or 0)


async def drain_lag_s(redis: Redis) -> float:
    """Tell the age of the oldest message that is not in ClickHouse yet; 0 where all are.

    By the clock of Redis, which made the ids. It does not need the drain, so that it grows while
    there is none.
    """
    stream = LedgerStream(redis)
    drained = await drained_id(redis, stream.name)
    undrained = await stream.read(drained, 1)
    if not undrained:
        return 0.0
    seconds, micros = await redis.time()
    return max(seconds + micros / 1e6 - order(undrained[0].id)[0] / 1000, 0.0)


async def noted_id(redis: Redis, stream: str) -> str | None:
    """Tell the last message that a drain noted; another Redis may have begun since."""
    noted: Any = await redis.get(drained_key(stream))
    return None if noted is None else str(noted.decode())


async def drained_id(redis: Redis, stream: str) -> str | None:
    """Tell up to which message all is in ClickHouse; none where nothing is known to be."""
    noted, last = await noted_id(redis, stream), await last_id(redis, stream)
    if noted is not None and (last is None or order(last) < order(noted)):
        return None  # Redis began anew, and its ids may be lower
    return noted


async def forget(redis: Redis) -> None:
    """Begin anew with a new ClickHouse, which has nothing yet."""
    await redis.delete(drained_key(LedgerStream(redis).name))


async def last_id(redis: Redis, stream: str) -> str | None:
    """Tell the last id that the stream ever gave."""
    try:
        info = await redis.xinfo_stream(stream)
    except ResponseError:  # there is no stream
        return None
    return str(info["last-generated-id"].decode())
