"""What a fresh machine needs once the cluster runs: a history, and a trained model."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import ray

from config_store.alias_follower import AliasFollower
from config_store.errors import ConfigError
from deployments.history.discovery import history
from launch.training.champion import make_champion, note_trained
from models.errors import TrainingDataError
from models.pointer import read_pointer
from models.registry import CHAMPION, Registry
from models.tail.naming import TAIL_MODEL
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]


def fill_history(progress: Progress) -> int:
    """Bring the telemetry up to now; count the minutes added."""
    actor = history()
    filling = actor.filled.remote()
    while not ray.wait([filling], timeout=0.2)[0]:
        stage, share = ray.get(actor.progress.remote())
        progress(share, stage)
    added: int = ray.get(filling)
    progress(1.0, "Telemetry is up to date")
    return added


def pin_models(settings: Settings) -> None:
    """Bring into force what is trained, in one step: before anything answers.

    A configuration that cannot be used now keeps nobody from starting: what starts shows it.
    """
    try:
        asyncio.run(_pin(settings))
    except (ConfigError, *REDIS_AWAY) as error:
        log.warning("What is trained was not pinned: %s", error)


async def _pin(settings: Settings) -> None:
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        await AliasFollower(redis, settings.paths.models, time.time).step()
    finally:
        await redis.aclose()


def train_missing(settings: Settings, scratch: Path, progress: Progress) -> str | None:
    """Train the tail model and make it champion, unless there is one.

    None where the history is too short: the fallback answers, and TrainingLater tries again.
    """
    paths = settings.paths
    champion = read_pointer(paths.models, TAIL_MODEL, CHAMPION)
    if champion is not None:
        progress(1.0, f"Model {champion.name} {champion.version} is ready")
        return champion.version
    progress(0.0, "Reading the history for the first training")
    # XGBoost and scikit-learn take seconds to import, which only the first start needs.
    from models.tail.training import train_tail  # noqa: PLC0415 - see above

    actor = history()
    made_up, columns = ray.get(
        [actor.made_up.remote(), actor.training_rows.remote(settings.history_days)]
    )
    threads = os.cpu_count() or 1
    try:
        trained = train_tail(columns, seed=settings.seed, threads=threads, progress=progress)
    except TrainingDataError as short:
        progress(1.0, f"None yet, the fallback answers: {short}")
        return None
    registry = Registry(settings.tracking_uri, paths.models)
    version = make_champion(
        registry, scratch, TAIL_MODEL, trained.model.save, trained.metrics, made_up=made_up
    )
    note_trained(settings, version)
    progress(1.0, f"Model {version.name} {version.version} is trained")
    return version.version
