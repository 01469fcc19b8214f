"""Looks at a topic of Kafka that is to be connected, or is."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from config_store.sources import KafkaSource
from features.sources.kafka.sample import Sample, format_of, newest, rows_of
from features.sources.prometheus.proposed import METRICS
from features.sources.source import Gathered
from features.telemetry.columns import Telemetry
from launch.sources.gathered_text import complaint_lines, entities_of, metric_lines
from launch.sources.proposal_text import few
from launch.sources.validation import checked


class TopicSample(NamedTuple):
    """The newest messages of a topic, and the rows that they give."""

    source: KafkaSource
    sample: Sample
    found: Gathered


def kafka_source(name: str, fields: Mapping[str, Any]) -> KafkaSource:
    """Give a source of what the user named."""
    given = {key: value for key, value in fields.items() if value is not None}
    return checked(name, lambda: KafkaSource.model_validate(given))


async def look_at(name: str, fields: Mapping[str, Any], now: datetime) -> TopicSample:
    """Read the newest messages; a format that was not named is seen by them."""
    source = kafka_source(name, fields)
    sample = await asyncio.to_thread(newest, name, source)
    if fields.get("format") is None:
        source = kafka_source(name, {**fields, "format": format_of(name, sample)})
    return TopicSample(source, sample, _rows(source, sample, now))


async def check_kafka(name: str, source: KafkaSource, now: datetime) -> list[str]:
    """Read the newest messages once, and say what they give; no position moves."""
    sample = await asyncio.to_thread(newest, name, source)
    found = _rows(source, sample, now)
    given = given_metrics(found.telemetry)
    return [
        f"{name} answers: {summary(sample, found)}",
        *(metric_lines(found.telemetry, given)),
        *complaint_lines(found.complaints),
        *_age(found, now),
    ]


def summary(sample: Sample, found: Gathered) -> str:
    entities = entities_of(found.telemetry)
    named = f": {few(tuple(entities))}" if entities else ""
    partitions = "partition" if sample.partitions == 1 else "partitions"
    return (
        f"the newest {len(sample.messages)} messages of {sample.partitions} {partitions} give "
        f"{len(found.telemetry)} rows of {len(entities)} entities{named}."
    )


def given_metrics(rows: Telemetry) -> list[str]:
    return [each for each in METRICS if np.isfinite(rows.columns()[each]).any()]


def _age(found: Gathered, now: datetime) -> Iterable[str]:
    if len(found.telemetry):
        age = now.timestamp() - int(found.telemetry.ts.max())
        yield f"  The newest interval began {age:.0f} s ago."


def _rows(source: KafkaSource, sample: Sample, now: datetime) -> Gathered:
    return rows_of(sample, source, source.cadence_seconds, now.timestamp())
