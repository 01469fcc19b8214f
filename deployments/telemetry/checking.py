"""Checks a source where the platform runs: what it gives, and what to do where that is nothing."""

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np
from redis.asyncio import Redis

from config_store.sources import (
    CandlesSource,
    ClickhouseSource,
    LogsSource,
    PostedLogsSource,
    PrometheusSource,
    PushSource,
    RemoteWriteSource,
    SourceConfig,
)
from deployments.history.source_questions import Checked, MetricSeen
from deployments.telemetry.sample import SampledSource, SourceSample, take_sample
from features.errors import FeatureError, SourceRefusedError
from features.sources.prometheus.proposed import METRICS
from features.telemetry.columns import Telemetry

CHECK_SECONDS = 20.0
MOST_NAMES = 20


class SourceChecks:
    """Asks each source once at a time: who asks meanwhile gets the same answer."""

    def __init__(
        self, redis: Redis, wall: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self._redis = redis
        self._wall = wall
        self._monotonic = monotonic
        self._running: dict[str, asyncio.Task[Checked]] = {}

    async def check(self, name: str, config: SourceConfig) -> Checked:
        """Ask a source that can be; that it is away, or refuses, is an answer too."""
        if isinstance(config, PushSource | PostedLogsSource):
            raise TypeError(f"a source of the kind {config.kind} cannot be asked")
        running = self._running.get(name)
        if running is None:
            running = self._running[name] = asyncio.create_task(self._check(name, config))
            running.add_done_callback(partial(self._over, name))
        return await asyncio.shield(running)

    def _over(self, name: str, task: asyncio.Task[Checked]) -> None:
        self._running.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever asked gets it, if it still waits

    async def _check(self, name: str, config: SampledSource) -> Checked:
        started = self._monotonic()
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                sample = await take_sample(name, config, self._redis, self._wall)
        except FeatureError as error:
            refused, why = isinstance(error, SourceRefusedError), str(error)
        except TimeoutError:
            refused = False
            why = f"It did not answer within {CHECK_SECONDS:g} s: see how loaded it is"
        else:
            seconds = self._monotonic() - started
            return await asyncio.to_thread(_described, name, config, seconds, sample)
        return Checked(
            name,
            config.kind,
            ok=False,
            reachable=refused,
            seconds=self._monotonic() - started,
            message=why,
        )


def _described(name: str, config: SampledSource, seconds: float, sample: SourceSample) -> Checked:
    rows = sample.gathered.telemetry
    names = sorted(set(rows.entity.tolist()))
    metrics = tuple(_seen(rows, each) for each in METRICS if each in _expected(config, rows))
    return Checked(
        name,
        config.kind,
        ok=bool(metrics) and all(each.share for each in metrics),
        reachable=True,
        seconds=seconds,
        message=_message(config, metrics),
        since=sample.since,
        until=sample.until,
        rows=len(rows),
        entities=tuple(names[:MOST_NAMES]),
        entity_count=len(names),
        metrics=metrics,
        complaints=sample.gathered.complaints,
    )


def _expected(config: SampledSource, rows: Telemetry) -> list[str]:
    """Name the metrics of its mapping; where it has none, those that have a value."""
    match config:
        case PrometheusSource() | RemoteWriteSource() | CandlesSource():
            return list(config.mapping.metrics)
        case ClickhouseSource():
            return list(config.query.metrics)
        case _:
            values = rows.columns()
            return [each for each in METRICS if np.isfinite(values[each]).any()]


def _seen(rows: Telemetry, metric: str) -> MetricSeen:
    values = rows.columns()[metric]
    measured = values[np.isfinite(values)]
    if not len(measured):
        return MetricSeen(metric, 0.0, None, None)
    share = len(measured) / len(values)
    return MetricSeen(metric, share, float(measured.min()), float(measured.max()))


def _message(config: SampledSource, metrics: tuple[MetricSeen, ...]) -> str:
    if not any(each.share for each in metrics):
        return f"It answers, and no metric has a value: {_remedy(config)}"
    if silent := [each.metric for each in metrics if not each.share]:
        return f"No value of {', '.join(silent)}: {_remedy(config)}"
    return "Every metric has values"


def _remedy(config: SampledSource) -> str:
    match config:
        case LogsSource():
            return "see whether lines are written, and read by the rules of the source"
        case PrometheusSource() | ClickhouseSource():
            return (
                "see whether what the mapping names is there; connect it anew with a corrected one"
            )
        case CandlesSource():
            return "see whether the market is open, and whether the mapping names what is there"
        case RemoteWriteSource():
            return "see whether the sender runs, and whether its series are named as in the mapping"
        case _:
            return "see whether messages are written to the topic"
