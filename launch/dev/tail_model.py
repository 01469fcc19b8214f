"""Trains a small tail model on the simulator's telemetry, where the registry has no champion.

A process of its own and of low priority: training and MLflow take seconds that answers shall not
wait for.
"""

import tempfile
import time
from pathlib import Path

from features.sources.simulator.platform import Platform
from features.telemetry.columns import Telemetry
from launch.training.champion import make_champion
from launch.training.low_priority import step_back
from models.registry import Registry
from models.tail.naming import TAIL_MODEL
from models.tail.training import train_tail
from settings.environment import Settings

DAY, DAYS = 86_400, 14
ENTITIES = 2
REQUESTS = 4_000


def train(settings: Settings, now: int) -> None:
    platform = Platform(seed=settings.seed)
    minutes = Telemetry.concat(
        platform.minutes(entity, now - DAYS * DAY, now) for entity in platform.entities[:ENTITIES]
    )
    trained = train_tail(
        minutes.columns(),
        seed=settings.seed,
        threads=1,
        progress=lambda _share, _what: None,
        requests=REQUESTS,
    )
    registry = Registry(settings.tracking_uri, settings.paths.models)
    with tempfile.TemporaryDirectory() as scratch:
        make_champion(
            registry, Path(scratch), TAIL_MODEL, trained.model.save, trained.metrics, made_up=True
        )


if __name__ == "__main__":
    step_back()
    train(Settings(), int(time.time()) // 60 * 60)
