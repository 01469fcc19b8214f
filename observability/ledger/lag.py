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
    noted: Any = await redis.get(drained_key(stream.name))
    drained = None if noted is None else noted.decode()
    last = await last_id(redis, stream.name)
    if drained is not None and (last is None or order(last) < order(drained)):
        drained = None  # Redis began anew, and its ids may be lower
    undrained = await stream.read(drained, 1)
    if not undrained:
        return 0.0
    seconds, micros = await redis.time()
    return max(seconds + micros / 1e6 - order(undrained[0].id)[0] / 1000, 0.0)


async def last_id(redis: Redis, stream: str) -> str | None:
    """Tell the last id that the stream ever gave."""
    try:
        info = await redis.xinfo_stream(stream)
    except ResponseError:  # there is no stream
        return None
    return str(info["last-generated-id"].decode())
