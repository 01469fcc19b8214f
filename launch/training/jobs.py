"""What is trained beside the answers: the tail model, the forecasters, the capacity model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ray

from deployments.forecasting.loaded_models import FORECASTERS, registered_name
from deployments.history.discovery import history
from launch.training import past
from launch.training.due import due
from models.forecasting.plan.model import CAPACITY_MODEL
from models.needs import full_hours
from models.tail.naming import TAIL_MODEL
from settings.environment import Settings

ANSWERS_WITHIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """One training program, what it is for, and what it is given."""

    title: str
    module: str
    due: Callable[[float], list[str]]
    """The names of the models that it should train at this time."""
    hand_over: Callable[[Path], None]
    """Writes the history into the folder; blocking, for a thread."""


def jobs(settings: Settings) -> list[Job]:
    folder, days = settings.paths.models, settings.history_days

    def made_up() -> bool:
        return bool(ray.get(history().made_up.remote(), timeout=ANSWERS_WITHIN_SECONDS))

    def tail_rows(into: Path) -> None:
        past.write_origin(into, made_up=made_up())
        past.write_rows(into, ray.get(history().training_rows.remote(days)))

    def hours_and_minutes(into: Path) -> None:
        actor = history()
        past.write_origin(into, made_up=made_up())
        hours, minutes = ray.get([actor.hours.remote(days), actor.worker_minutes.remote(days)])
        past.write(into, hours, minutes)

    def due_of(*names: str) -> Callable[[float], list[str]]:
        full = full_hours(names)
        return lambda now: due(folder, full, now, made_up=made_up())

    forecasters = map(registered_name, FORECASTERS)
    return [
        Job("the tail model", "launch.training.tail", due_of(TAIL_MODEL), tail_rows),
        Job(
            "the forecasters",
            "launch.training.forecasters",
            due_of(CAPACITY_MODEL, *forecasters),
            hours_and_minutes,
        ),
    ]
