"""`ballast bootstrap`: what a cluster of several machines needs once, made from its head.

`ballast up` makes the same on one machine. What is there already stays as it is.
"""

import logging
import socket
import tempfile
from pathlib import Path

import ray

from deployments.history.discovery import NAMESPACE
from launch import bootstrap, first_data
from launch.errors import ClusterAwayError, RedisNotSharedError
from launch.progress import Progress
from observability.logs import set_up
from settings.environment import Settings

AUTO = "auto"
ANSWERS_WITHIN_SECONDS = 10.0


def prepare_cluster(settings: Settings, address: str) -> None:
    """Make a configuration, an admin key, the history and a trained model, where absent."""
    set_up("WARNING")
    if settings.embedded_redis:
        raise RedisNotSharedError
    progress = Progress()
    with progress.step("Configuration and keys"):
        bootstrap.prepare(settings)
    with progress.step("Ray cluster"):
        _join(address)
    try:
        _make_first_data(settings, progress)
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    """Connect to the cluster; Ray itself would wait minutes for a head that is not there."""
    try:
        if address != AUTO:
            _knock(address)
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterAwayError(address) from error


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN_SECONDS).close()


def _make_first_data(settings: Settings, progress: Progress) -> None:
    with progress.bar("Telemetry history") as bar:
        first_data.fill_history(bar)
    with (
        progress.bar("Tail model") as bar,
        tempfile.TemporaryDirectory(prefix="ballast-") as scratch,
    ):
        first_data.train_missing(settings, Path(scratch), bar)
    first_data.pin_models(settings)
