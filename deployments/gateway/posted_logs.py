"""Takes posted lines of logs in: finds their source, reads in turns, queues what they tell."""

import asyncio
import time
from typing import NamedTuple

from redis.asyncio import Redis
from starlette.datastructures import Headers

from config_store.sources import PostedLogsSource, SourcesConfig
from deployments.api.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    TooLargeError,
    UnavailableError,
    UnsupportedMediaTypeError,
)
from deployments.gateway.turns import Turns
from features.errors import IntakeFullError, PostRefusedError, PostTooLargeError
from features.sources.logs.batch import Batch, encode
from features.sources.logs.posted import BodyLines, identity_of, unpacked
from features.sources.logs.stream import LineStream
from settings.redis_connection import REDIS_AWAY

# Of all rests while a body is read. Whoever posts lines is in less of a hurry than who asks.
MOST_REST_SECONDS = 5.0
_PAUSED_SECONDS = 60
_CONNECT = "`ballast connect logs NAME --posted` makes one"


class Ready(NamedTuple):
    """What the lines of a body tell, and how many there were."""

    received: int
    batch: Batch


def source_of(sources: SourcesConfig, name: str | None) -> tuple[str, PostedLogsSource]:
    """Find the source that posted lines belong to: the one that is named, or the only one."""
    posted = {
        key: each for key, each in sources.named.items() if isinstance(each, PostedLogsSource)
    }
    if name is None and len(posted) == 1:
        name = next(iter(posted))
    if name is None:
        raise ConflictError(
            f"There are several sources of the kind posted_logs: name one, as in "
            f"?source={min(posted)}; they are: {', '.join(sorted(posted))}"
            if posted
            else f"No source of the kind posted_logs is configured: {_CONNECT}"
        )
    source = posted.get(name)
    if source is None:
        raise NotFoundError(
            f"There is no source {name!r} of the kind posted_logs; there are: "
            f"{', '.join(sorted(posted)) or 'none'}. {_CONNECT}"
        )
    if source.paused:
        # The sender keeps what it could not send, for a while.
        raise UnavailableError(f"The source {name!r} is paused", retry_after_s=_PAUSED_SECONDS)
    return name, source


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
    rest_left = MOST_REST_SECONDS
    try:
        content = await asyncio.to_thread(unpacked, raw) if packed else raw
        started = time.perf_counter()
        for _ in lines.steps(content):
            rest_left -= await turns.give(time.perf_counter() - started, rest_left)
            started = time.perf_counter()
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
    try:
        await LineStream(redis, name).add(await asyncio.to_thread(encode, batch))
    except IntakeFullError as full:
        raise OverloadedError(str(full), retry_after_s=full.retry_after_s) from full
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds posted lines until they are stored, cannot be reached: post the "
            "same lines again"
        ) from away
