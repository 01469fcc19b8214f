"""Makes sources of the configuration."""

import random
from collections.abc import Callable

from config_store.sources import PrometheusSource as PrometheusConfig
from config_store.sources import SourceConfig
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.source import PrometheusSource
from features.sources.source import Source


def build(name: str, config: SourceConfig, wall: Callable[[], float]) -> Source | None:
    """Make a source that is asked; None for one that is posted to."""
    match config:
        case PrometheusConfig():
            return PrometheusSource(
                name, prometheus_api(name, config), config.mapping, config.cadence_seconds, wall
            )
        case _:
            return None


def prometheus_api(name: str, config: PrometheusConfig) -> PrometheusApi:
    return PrometheusApi(
        name,
        str(config.url),
        random=random.random,
        token_file=config.token_file,
        verify_tls=config.verify_tls,
    )
