"""Says what waits in Redis of what a Prometheus writes, and what it makes."""

from collections.abc import Iterable
from datetime import datetime

import numpy as np
from redis.asyncio import Redis

from config_store.sources import RemoteWriteSource
from deployments.telemetry.sample import NEWEST_WRITES, newest_interval, newest_sample_ms
from features.sources.entries import StreamSize
from features.sources.remote_write.stream import SampleStream
from features.sources.source import Gathered
from launch.sources.gathered_text import complaint_lines, entities_of, metric_lines


async def check_writes(
    redis: Redis, name: str, config: RemoteWriteSource, now: datetime
) -> list[str]:
    """Look at what waits, and evaluate the newest interval that is over; nothing is taken out."""
    stream = SampleStream(redis, name)
    held, arrived = await stream.held(), await stream.newest(NEWEST_WRITES)
    newest = newest_sample_ms(arrived)
    if newest is None:
        return [f"Nothing of {name} waits in Redis: nothing was written to it lately."]
    age = now.timestamp() - newest / 1000
    return [
        f"{held_text(held)} of {name} wait in Redis; the newest sample is {age:.0f} s old.",
        *_evaluated(newest_interval(config, arrived, now.timestamp()), config),
    ]


def held_text(held: StreamSize) -> str:
    writes = "write" if held.entries == 1 else "writes"
    return f"{held.entries} {writes} ({held.size / 1e6:.2f} MB)"


def _evaluated(found: Gathered, config: RemoteWriteSource) -> Iterable[str]:
    rows = found.telemetry
    if not len(rows):
        yield "  No interval of it gives a row yet: the first one does when the next has begun."
    else:
        entities = entities_of(rows)
        begins = np.datetime64(int(rows.ts[0]), "s")
        yield f"  The interval from {begins}Z: {len(entities)} entities, {', '.join(entities)}."
        yield from metric_lines(rows, config.mapping.metrics)
    yield from complaint_lines(found.complaints)
