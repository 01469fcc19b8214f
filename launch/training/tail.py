"""Trains the tail model, in a process of its own, from rows that were handed over."""

import os
import sys
from pathlib import Path

from launch.training.champion import make_champion, note_trained
from launch.training.lines import tell_lack, tell_progress
from launch.training.low_priority import step_back
from launch.training.past import is_made_up, read_rows
from models.errors import TrainingDataError
from models.registry import Registry
from models.tail.naming import TAIL_MODEL
from models.tail.training import train_tail
from settings.environment import Settings


def train(settings: Settings, folder: Path) -> None:
    """Train and make it champion, or tell what is missing."""
    try:
        trained = train_tail(
            read_rows(folder),
            seed=settings.seed,
            threads=os.cpu_count() or 1,
            progress=tell_progress,
        )
    except TrainingDataError as short:
        tell_lack(TAIL_MODEL, str(short))
        return
    registry = Registry(settings.tracking_uri, settings.paths.models)
    version = make_champion(
        registry,
        folder,
        TAIL_MODEL,
        trained.model.save,
        trained.metrics,
        made_up=is_made_up(folder),
    )
    note_trained(settings, version)


if __name__ == "__main__":
    step_back()
    train(Settings(), Path(sys.argv[1]))
