"""Fills the columns that requests left out, and says which are stale, assumed or missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.rows import MINUTE, FeatureRow

FloatArray = npt.NDArray[np.float64]
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Filled:
    """Every needed column, and how each hole of it was filled; NaN is left where it is missing."""

    columns: dict[str, FloatArray]
    # Only rows where it is so are named: most batches name none.
    stale: dict[int, tuple[str, ...]]
    assumed: dict[int, tuple[str, ...]]
    event_time: FloatArray  # epoch seconds; NaN where nothing is known of the entity
    # What the entity's telemetry does not have, and the model can do without.
    missing: dict[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Freshness:
    now: float
    stale_after_seconds: float  # of what comes by the minute; of the hour's, sixty times as long


def fill(
    needed: Sequence[str],
    entities: Sequence[str],
    given: Mapping[str, FloatArray],
    rows: Mapping[str, FeatureRow | None],
    defaults: Mapping[str, float],
    freshness: Freshness,
    optional: Sequence[str] = (),
    preferred: Mapping[str, str] = _NONE,
) -> Filled:
    """Take a value from the request, else from the entity's row, else from the defaults.

    An optional column of an entity that is measured, though not in this, stays NaN: a default would
    be an invention. An entity that nobody measures gets the defaults throughout.
    """
    known = [rows.get(entity) for entity in entities]
    # One that was withdrawn has no values, and so no time.
    event_time = np.array([row.event_time if row and row.values else np.nan for row in known])
    cadence = np.array([MINUTE if row is None else row.cadence_seconds for row in known])
    longest = freshness.stale_after_seconds * np.maximum(cadence / MINUTE, 1.0)
    old = freshness.now - event_time > longest
    columns: dict[str, FloatArray] = {}
    stale: dict[int, list[str]] = {}
    assumed: dict[int, list[str]] = {}
    missing: dict[int, list[str]] = {}
    measured = ~np.isnan(event_time)
    for name in needed:
        column = given.get(name)
        holes = np.isnan(column) if column is not None else np.ones(len(entities), dtype=np.bool_)
        if column is not None and not holes.any():
            columns[name] = column
            continue
        stored = _values(known, name)
        if name in preferred:
            better = _values(known, preferred[name])
            stored = np.where(np.isnan(better), stored, better)
        unknown = holes & np.isnan(stored)
        _note(stale, name, holes & ~unknown & old)
        lacks = unknown & measured & (name in optional)
        _note(missing, name, lacks)
        _note(assumed, name, unknown & ~lacks)
        default = defaults.get(name, np.nan)
        filled = np.where(unknown, np.where(lacks, np.nan, default), stored)
        columns[name] = filled if column is None else np.where(holes, filled, column)
    return Filled(columns, _frozen(stale), _frozen(assumed), event_time, _frozen(missing))


def _values(known: Sequence[FeatureRow | None], name: str) -> FloatArray:
    return np.array([np.nan if row is None else row.values.get(name, np.nan) for row in known])


def _note(names: dict[int, list[str]], name: str, where: npt.NDArray[np.bool_]) -> None:
    for row in np.flatnonzero(where).tolist():
        names.setdefault(row, []).append(name)


def _frozen(names: dict[int, list[str]]) -> dict[int, tuple[str, ...]]:
    return {row: tuple(found) for row, found in names.items()}
