"""The history as files, from the process that has Ray to the one that trains without it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from deployments.forecasting.past import Past, past_of, series_of
from models.forecasting.forecaster import HourlySeries

HOURS, MINUTES = "hours.npz", "minutes.npz"
WHO = "entities.json"


def write(folder: Path, hours: dict[str, dict[str, Any]], minutes: dict[str, Any]) -> None:
    """Write what the history actor answers."""
    who = {name: [each["start"], each["exchange"]] for name, each in hours.items()}
    (folder / WHO).write_text(json.dumps(who))
    rates: dict[str, Any] = {f"rate{at}": each["rate"] for at, each in enumerate(hours.values())}
    np.savez(folder / HOURS, **rates)
    # Texts as fixed-width characters: nothing in the file needs a pickle.
    columns: dict[str, Any] = {name: np.asarray(each) for name, each in minutes.items()}
    np.savez(folder / MINUTES, **columns)


def read_series(folder: Path) -> list[HourlySeries]:
    who = json.loads((folder / WHO).read_text())
    with np.load(folder / HOURS, allow_pickle=False) as rates:
        stored = {
            name: {"start": start, "exchange": exchange, "rate": rates[f"rate{at}"]}
            for at, (name, (start, exchange)) in enumerate(who.items())
        }
    past: dict[str, Past] = past_of(stored)
    return [series_of(name, each) for name, each in past.items()]


def read_minutes(folder: Path) -> dict[str, Any]:
    with np.load(folder / MINUTES, allow_pickle=False) as columns:
        return {name: columns[name] for name in columns.files}
