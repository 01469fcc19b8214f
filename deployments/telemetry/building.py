"""Makes sources of the configuration."""

import random
from collections.abc import Callable

from config_store.sources import PrometheusSource as PrometheusConfig
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.source import PrometheusSource


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
