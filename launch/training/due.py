"""Which models are to be trained: those that are missing, and those that knew a short history.

A model of the first hours would otherwise answer for ever. One that was trained on less than it
can use is trained again when as much time has passed as its history was long: after 2 h, 4 h, 8 h
and so on, until the history is long enough.
"""

from collections.abc import Mapping
from pathlib import Path

from models.model_version import ModelVersion
from models.pointer import read_pointer
from models.registry import CHAMPION

HISTORY_HOURS = "history_hours"
"""The metric of a version that says on how long a history it was trained."""
_HOUR = 3_600


def due(folder: Path, full_hours: Mapping[str, float], now: float, *, made_up: bool) -> list[str]:
    """Name the models to train; `full_hours` is the history beyond which each gains little.

    What was trained on the demo is due as soon as the telemetry is not `made_up` any more.
    """
    return [
        name
        for name, full in full_hours.items()
        if _is_due(read_pointer(folder, name, CHAMPION), full, now, made_up=made_up)
    ]


def _is_due(champion: ModelVersion | None, full_hours: float, now: float, *, made_up: bool) -> bool:
    if champion is None or (champion.of_demo and not made_up):
        return True
    # Versions that somebody else trained say nothing of it, and are left alone.
    hours = champion.metrics.get(HISTORY_HOURS, full_hours)
    age_hours = (now - champion.created.timestamp()) / _HOUR
    return hours < full_hours and age_hours >= hours
