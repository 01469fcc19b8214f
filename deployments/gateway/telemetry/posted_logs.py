"""Takes posted lines of logs in: reads in turns, queues what they tell."""

import asyncio
from typing import NamedTuple

from redis.asyncio import Redis
from starlette.datastructures import Headers

from config_store.sources import PostedLogsSource
from deployments.api.errors import (
    InvalidError,
    TooLargeError,
    UnsupportedMediaTypeError,
)
from deployments.gateway.large_requests.turns import Turns
from deployments.gateway.telemetry.intake import MOST_REST_SECONDS, SourceKind, queueing
from features.errors import PostRefusedError, PostTooLargeError
from features.sources.logs.batch import Batch, encode
from features.sources.logs.posted import BodyLines, identity_of, unpacked
from features.sources.logs.stream import LineStream

KIND = SourceKind(
    PostedLogsSource,
    "posted_logs",
    "/telemetry/logs",
    "`ballast connect logs NAME --posted` makes one",
)


class Ready(NamedTuple):
    """What the lines of a body tell, and how many there were."""

    received: int
    batch: Batch


def is_packed(headers: Headers) -> bool:
    """Tell whether the body is packed with gzip; 415 where it is with anything else."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise UnsupportedMediaTypeError(
            f"The content encoding is {encoding[:80]!r}; the one that is read is gzip"
        )
    return encoding == "gzip"


async def read_in_turns(
    raw: bytes, source: PostedLogsSource, turns: Turns, *, packed: bool, key: str, now: float
) -> Ready:
    """Read a body; others get their turn after each millisecond of it."""
    lines = BodyLines(source.lines, source.cadence_seconds, now)
    try:
        content = await asyncio.to_thread(unpacked, raw) if packed else raw
        await turns.run(lines.steps(content), MOST_REST_SECONDS)
    except PostTooLargeError as large:
        raise TooLargeError(f"The body cannot be taken, for {large}: send it in parts") from large
    except PostRefusedError as refusal:
        raise InvalidError("The body cannot be read", {refusal.field: refusal.reason}) from refusal
    batch = lines.batch(await asyncio.to_thread(identity_of, content, key))
    return Ready(lines.received, batch)


def refusal_of(ready: Ready) -> InvalidError:
    """Say why no line of a body can be taken."""
    faults: dict[str, str] = {
        each.fault: f"{each.count} times; {each.example}" for each in ready.batch.complaints
    }
    return InvalidError(
        "No line of the body can be taken", faults or {"body": "it holds no line of JSON"}
    )


async def queue(redis: Redis, name: str, batch: Batch) -> None:
    """Put the lines where they survive; a refusal says that none of them was taken."""
    with queueing("posted lines", "post the same lines again"):
        await LineStream(redis, name).add(await asyncio.to_thread(encode, batch))
