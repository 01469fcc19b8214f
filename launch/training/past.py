"""The history as files, from the process that has Ray to the one that trains without it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from deployments.forecasting.past import Past, past_of, series_of
from models.forecasting.forecaster import HourlySeries

HOURS, MINUTES, ROWS = "hours.npz", "minutes.npz", "rows.npz"
WHO, ORIGIN = "entities.json", "origin.json"


def write_origin(folder: Path, *, made_up: bool) -> None:
    """Write whether the history is the demo's."""
    (folder / ORIGIN).write_text(json.dumps({"made_up": made_up}))


def is_made_up(folder: Path) -> bool:
    return bool(json.loads((folder / ORIGIN).read_text())["made_up"])


def write(folder: Path, hours: dict[str, dict[str, Any]], minutes: dict[str, Any]) -> None:
    """Write what the history actor answers."""
    who = {name: [each["start"], each["exchange"]] for name, each in hours.items()}
    (folder / WHO).write_text(json.dumps(who))
    rates: dict[str, Any] = {f"rate{at}": each["rate"] for at, each in enumerate(hours.values())}
    np.savez(folder / HOURS, **rates)
    _write_columns(folder / MINUTES, minutes)


def write_rows(folder: Path, rows: dict[str, Any]) -> None:
    """Write the rows that the tail model learns from."""
    _write_columns(folder / ROWS, rows)


def read_series(folder: Path) -> list[HourlySeries]:
    who: dict[str, Any] = json.loads((folder / WHO).read_text())
    with np.load(folder / HOURS, allow_pickle=False) as rates:
        stored = {
            name: {"start": start, "exchange": exchange, "rate": rates[f"rate{at}"]}
            for at, (name, (start, exchange)) in enumerate(who.items())
        }
    past: dict[str, Past] = past_of(stored)
    return [series_of(name, each) for name, each in past.items()]


def read_minutes(folder: Path) -> dict[str, Any]:
    return _read_columns(folder / MINUTES)


def read_rows(folder: Path) -> dict[str, Any]:
    return _read_columns(folder / ROWS)


def _write_columns(file: Path, columns: dict[str, Any]) -> None:
    # Texts as fixed-width characters: nothing in the file needs a pickle.
    arrays: dict[str, Any] = {name: np.asarray(each) for name, each in columns.items()}
    np.savez(file, **arrays)


def _read_columns(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as columns:
        return {name: columns[name] for name in columns.files}
