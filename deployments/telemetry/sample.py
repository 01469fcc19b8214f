"""A sample of a source: its newest intervals, once; nothing is stored, and no position moves."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from config_store.sources import (
    CandlesSource,
    ClickhouseSource,
    KafkaSource,
    LogsSource,
    PrometheusSource,
    QueriedSource,
    RemoteWriteSource,
)
from deployments.telemetry.building import queried_source
from features.sources.kafka.sample import newest as newest_messages
from features.sources.kafka.sample import rows_of
from features.sources.logs.names import named_by
from features.sources.logs.trial import read_once
from features.sources.remote_write.editions import EDITIONS
from features.sources.remote_write.stream import Arrived, SampleStream
from features.sources.remote_write.windows import Windows
from features.sources.source import Gathered
from features.telemetry.columns import Telemetry

INTERVALS = 10
# Of all log files, to see whether it works; the platform reads `past_mb` of each.
LOOKED_AT_MB = 64
# Of one remote write each, usually of 2,000 samples: some megabytes.
NEWEST_WRITES = 200

SampledSource = QueriedSource | LogsSource | KafkaSource | RemoteWriteSource


class SourceSample(NamedTuple):
    """What a source gave; of its newest intervals, or of what came last where it is sent."""

    gathered: Gathered
    since: int | None = None
    until: int | None = None


async def take_sample(
    name: str, config: SampledSource, redis: Redis, wall: Callable[[], float]
) -> SourceSample:
    """Sample a source of any kind but push; raises SourceAwayError or SourceRefusedError."""
    match config:
        case PrometheusSource() | ClickhouseSource() | CandlesSource():
            return await sample_server(name, config, wall)
        case LogsSource():
            return await read_logs(name, config, wall())
        case KafkaSource():
            sample = await asyncio.to_thread(newest_messages, name, config)
            return SourceSample(rows_of(sample, config, config.cadence_seconds, wall()))
        case RemoteWriteSource():
            arrived = await SampleStream(redis, name).newest(NEWEST_WRITES)
            return SourceSample(await asyncio.to_thread(newest_interval, config, arrived, wall()))


async def sample_server(
    name: str, config: QueriedSource, wall: Callable[[], float]
) -> SourceSample:
    """Ask a server for its last intervals that are whole."""
    source = queried_source(name, config, wall)
    since, until = _last_intervals(config.cadence_seconds, wall() - source.settling_seconds)
    try:
        return SourceSample(await source.range(since, until), since, until)
    finally:
        await source.close()


async def read_logs(name: str, config: LogsSource, now: float) -> SourceSample:
    """Read the ends of the files, and give the last intervals that are whole."""
    since, until = _last_intervals(config.cadence_seconds, now - config.lateness_seconds)
    return SourceSample(await read_interval(name, config, since, until, now), since, until)


async def read_interval(
    name: str, config: LogsSource, since: int, until: int, now: float
) -> Gathered:
    """Give the intervals of [since, until) that are over by `now`, of the ends of the files."""
    files = max(len(named_by(config.lines.paths)), 1)
    return await read_once(
        name,
        config.lines,
        start=since,
        stop=until,
        now=now,
        cadence_seconds=config.cadence_seconds,
        lateness_seconds=config.lateness_seconds,
        past_mb=min(config.past_mb, max(LOOKED_AT_MB // files, 1)),
    )


def newest_interval(config: RemoteWriteSource, arrived: Sequence[Arrived], now: float) -> Gathered:
    """Evaluate the newest interval that is over, of what waits in Redis."""
    newest_ms = newest_sample_ms(arrived)
    if newest_ms is None:
        return Gathered(Telemetry.empty())
    cadence = config.cadence_seconds
    # The last one that ended may be open for some seconds: the one before is finished then.
    finished_to = newest_ms // 1000 // cadence * cadence - 2 * cadence
    windows = Windows(
        config.mapping, cadence, edition=EDITIONS[config.prometheus], finished_to=finished_to
    )
    for each in arrived:
        windows.add(each.id, each.samples, each.received_ms)
    found = windows.finished(now)
    rows = found.telemetry
    return Gathered(rows.rows(rows.ts == rows.ts.max(initial=0)), found.complaints)


def newest_sample_ms(arrived: Sequence[Arrived]) -> int | None:
    times = [int(each.samples.times.max()) for each in arrived if len(each.samples)]
    return max(times, default=None)


def _last_intervals(cadence: int, over: float) -> tuple[int, int]:
    until = int(over // cadence) * cadence
    return until - INTERVALS * cadence, until
