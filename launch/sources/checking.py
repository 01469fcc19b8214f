"""Asks one source once, and says what it gives and what is wrong with it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from config_store.sources import (
    KafkaSource,
    LogsSource,
    QueriedSource,
    RemoteWriteSource,
    SourceConfig,
)
from config_store.store import ConfigStore
from deployments.telemetry.remapping import mapping_of
from deployments.telemetry.sample import INTERVALS, sample_server
from features.sources.source import Gathered
from features.telemetry.tables import METRICS
from launch.sources.change import configuration, source_of
from launch.sources.checking_writes import check_writes
from launch.sources.gathered_text import complaint_lines, entities_of, metric_lines
from launch.sources.kafka_topic import check_kafka
from launch.sources.listing import held_back, states_by_name
from launch.sources.log_files import check_logs
from settings.environment import Settings


async def check(settings: Settings, name: str, now: datetime) -> str:
    async with configuration(settings) as redis:
        config = source_of((await ConfigStore(redis).active()).document.sources, name)
        if isinstance(config, RemoteWriteSource):
            lines = await check_writes(redis, name, config, now)
            return "\n".join([*lines, await _as_the_platform_sees_it(settings, name, config)])
    if isinstance(config, LogsSource):
        return "\n".join(await check_logs(name, config, now))
    if isinstance(config, KafkaSource):
        return "\n".join(await check_kafka(name, config, now))
    if isinstance(config, QueriedSource):
        asked = (await ask(name, config, now)).text
        states = await states_by_name(settings)
        seen = {} if isinstance(states, str) else states.get(name, {})
        return "\n".join([asked, *held_back(name, seen)])
    return await _as_the_platform_sees_it(settings, name, config)


class CheckedSource(NamedTuple):
    """What a server gave of its newest intervals."""

    text: str
    measured: bool
    """Whether any metric had a value."""


async def ask(name: str, config: QueriedSource, now: datetime) -> CheckedSource:
    """Ask a server for its newest intervals, and say what came."""
    gathered = (await sample_server(name, config, now.timestamp)).gathered
    values = gathered.telemetry.columns()
    measured = any(np.isfinite(values[metric]).any() for metric in METRICS)
    return CheckedSource("\n".join(_text(name, gathered, config)), measured)


def _text(name: str, gathered: Gathered, config: QueriedSource) -> Iterable[str]:
    rows = gathered.telemetry
    minutes = INTERVALS * config.cadence_seconds / 60
    entities = entities_of(rows)
    metrics = mapping_of(config).metrics
    yield (
        f"{name} answers: {len(rows)} rows of {len(entities)} entities in the last {minutes:g} min"
        f"{': ' + ', '.join(entities) if entities else ''}."
    )
    yield from metric_lines(rows, metrics)
    yield from complaint_lines(gathered.complaints)


async def _as_the_platform_sees_it(settings: Settings, name: str, config: SourceConfig) -> str:
    """Give what the platform says: what is sent to it cannot be asked for."""
    states = await states_by_name(settings)
    if isinstance(states, str):
        return f"{name} is sent to the platform ({config.kind}), and {states}."
    seen: dict[str, Any] = states.get(name, {})
    shown = ", ".join(f"{key} {value}" for key, value in seen.items() if key != "name" and value)
    return f"{name} is sent to the platform: {shown or 'nothing has come yet'}."
