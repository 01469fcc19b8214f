"""Makes sources of the configuration."""

import random
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from config_store.sources import CandlesSource as CandlesConfig
from config_store.sources import ClickhouseSource as ClickhouseConfig
from config_store.sources import (
    KafkaSource,
    LogsSource,
    PostedLogsSource,
    QueriedSource,
    RemoteWriteSource,
)
from config_store.sources import PrometheusSource as PrometheusConfig
from deployments.telemetry.consumed import ConsumedSource
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.written import WrittenSource
from features.sources.breaker import Breaker
from features.sources.candles.api import CandleApi
from features.sources.candles.source import CandleSource, Market
from features.sources.clickhouse.embedded import EmbeddedClickhouse
from features.sources.clickhouse.engine import Engine
from features.sources.clickhouse.server import ClickhouseServer
from features.sources.clickhouse.source import ClickhouseSource
from features.sources.kafka.reader import TopicReader
from features.sources.kafka.reads import KafkaReads
from features.sources.logs.positions import RedisPositions
from features.sources.logs.source import LogSource
from features.sources.logs.stream import ArrivedLines, LineStream
from features.sources.logs.windows import LineWindows
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.source import PrometheusSource
from features.sources.remote_write.editions import EDITIONS
from features.sources.remote_write.stream import Arrived, SampleStream
from features.sources.remote_write.windows import Windows
from features.sources.source import Source


def prometheus_source(
    name: str, config: PrometheusConfig, wall: Callable[[], float]
) -> PrometheusSource:
    """Make a source of a Prometheus, which asks nobody yet."""
    api = PrometheusApi(
        name,
        str(config.url),
        random=random.random,
        token_file=config.token_file,
        verify_tls=config.verify_tls,
    )
    return PrometheusSource(name, api, config.mapping, config.cadence_seconds, wall)


def clickhouse_source(
    name: str, config: ClickhouseConfig, wall: Callable[[], float]
) -> ClickhouseSource:
    """Make a source of a ClickHouse, which asks nobody yet."""
    return ClickhouseSource(
        name,
        clickhouse_engine(name, config),
        config.query,
        wall,
        cadence_seconds=config.cadence_seconds,
        lateness_seconds=config.lateness_seconds,
    )


def clickhouse_engine(name: str, config: ClickhouseConfig) -> Engine:
    """Make what asks a ClickHouse, and asks nobody yet."""
    if config.folder is not None:
        return EmbeddedClickhouse(name, config.folder, database=config.database)
    return ClickhouseServer(
        name,
        str(config.url),
        random=random.random,
        user=config.user,
        password_file=config.password_file,
        database=config.database,
        verify_tls=config.verify_tls,
    )


def candle_source(name: str, config: CandlesConfig, wall: Callable[[], float]) -> CandleSource:
    """Make a source of an upstream of candles, which asks nobody yet."""
    api = CandleApi(
        name,
        str(config.url),
        random=random.random,
        token_file=config.token_file,
        verify_tls=config.verify_tls,
    )
    return CandleSource(name, api, config.mapping, market_of(config), wall)


def market_of(config: CandlesConfig) -> Market:
    """Give which candles a source is to ask for."""
    return Market(
        config.symbols,
        config.cadence_seconds,
        config.lateness_seconds,
        config.most_candles,
        config.exchange,
    )


def queried_source(name: str, config: QueriedSource, wall: Callable[[], float]) -> Source:
    """Make a source that can be asked for any time, which asks nobody yet."""
    match config:
        case PrometheusConfig():
            return prometheus_source(name, config, wall)
        case ClickhouseConfig():
            return clickhouse_source(name, config, wall)
        case CandlesConfig():
            return candle_source(name, config, wall)


def log_source(name: str, config: LogsSource, redis: Redis, wall: Callable[[], float]) -> LogSource:
    """Make a source of log files, which reads none yet."""
    return LogSource(
        name,
        config.lines,
        RedisPositions(redis, name),
        wall,
        cadence_seconds=config.cadence_seconds,
        lateness_seconds=config.lateness_seconds,
        history_days=config.history_days,
        past_mb=config.past_mb,
    )


def samples_source(
    config: RemoteWriteSource, stream: SampleStream, place: SourcePlace, wall: Callable[[], float]
) -> WrittenSource[Arrived]:
    """Make a source of samples that a Prometheus writes, which evaluates none yet."""

    def make(finished_to: int) -> Windows:
        return Windows(
            config.mapping,
            config.cadence_seconds,
            edition=EDITIONS[config.prometheus],
            finished_to=finished_to,
        )

    return WrittenSource(config.cadence_seconds, stream, place, make, wall)


def lines_source(
    config: PostedLogsSource, stream: LineStream, place: SourcePlace, wall: Callable[[], float]
) -> WrittenSource[ArrivedLines]:
    """Make a source of lines that clients post, which adds none up yet."""

    def make(finished_to: int) -> LineWindows:
        return LineWindows(
            config.lines,
            config.cadence_seconds,
            config.lateness_seconds,
            finished_to=finished_to,
        )

    return WrittenSource(config.cadence_seconds, stream, place, make, wall)


def kafka_source(
    name: str,
    config: KafkaSource,
    store: Any,
    place: SourcePlace,
    breaker: Breaker,
    wall: Callable[[], float],
) -> ConsumedSource:
    """Make a source of a topic, which reads nothing yet."""
    reader, reads = TopicReader(name, config), KafkaReads(store, name, config.topic)
    return ConsumedSource(name, config, reader, reads, place, breaker, wall)
