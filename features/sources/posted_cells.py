"""What posted rows may hold, and how their cells become numbers, whatever form they came in."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from math import isfinite, isnan
from typing import Any, NamedTuple, get_args

from features.errors import PostRefusedError
from features.sources.rules import Metric

MOST_ROWS = 50_000
METRICS: tuple[str, ...] = get_args(Metric)
NAMES = ("entity", "ts", *METRICS, "deploy")
NEEDED = NAMES[:2]

# A name that no request could ask for is refused here, where somebody can still change it.
ENTITY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
_ENTITY = re.compile(ENTITY_PATTERN)
# As seconds it would be the year 5138, as milliseconds it is 1973.
_MILLISECONDS_FROM = 1e11
_SHOWN = 40

Cells = Sequence[Any]
Faults = dict[int, str]
"""What is wrong with a cell, by its place in the block."""


class Block(NamedTuple):
    """Some rows of a body as columns: numbers, text, true and false, or None where nothing is."""

    rows: int
    columns: Mapping[str, Cells]


def check_names(names: Iterable[str]) -> None:
    """Refuse a column that is not known."""
    unknown = sorted(set(names).difference(NAMES))
    if unknown:
        raise PostRefusedError(
            unknown[0][:_SHOWN] or "columns",
            f"there is no such column: the columns are {', '.join(NAMES)}",
        )


def check_needed(names: Collection[str]) -> None:
    """Refuse columns among which one is missing that every row must have."""
    for name in NEEDED:
        if name not in names:
            raise PostRefusedError(name, "the column is missing, and every row needs it")


def check_count(rows: int) -> None:
    if rows > MOST_ROWS:
        raise PostRefusedError(
            "rows", f"a body may have at most {MOST_ROWS} rows, and this one has more"
        )


def entities(cells: Cells) -> tuple[list[str], Faults]:
    """Give the names, with those that are none."""
    faults = {
        at: f"entity {quote(cell)} is not a name: 1 to 128 letters, digits and . _ : / -"
        for at, cell in enumerate(cells)
        if type(cell) is not str or _ENTITY.fullmatch(cell) is None
    }
    return list(cells), faults


def times(cells: Cells) -> tuple[list[float], Faults]:
    """Give epoch seconds, with those cells that are no time."""
    found: list[float] = []
    faults: Faults = {}
    for at, cell in enumerate(cells):
        seconds = _seconds(cell)
        if seconds is None:
            faults[at] = (
                f"ts {quote(cell)} is no time: give epoch seconds, epoch milliseconds, or ISO "
                "8601 with its zone, as in 2026-03-02T14:30:00Z"
            )
        found.append(seconds or 0.0)
    return found, faults


def numbers(name: str, cells: Cells) -> tuple[list[float | None], Faults]:
    """Give a metric's values, None where it was not measured, with those that are no numbers."""
    found: list[float | None] = []
    faults: Faults = {}
    for at, cell in enumerate(cells):
        value: float | None = None
        if type(cell) is float:
            value = None if isnan(cell) else cell
        elif type(cell) is int:
            value = _float(cell)
        elif cell is not None:
            faults[at] = f"{name} {quote(cell)} is no number; one that was not measured is null"
        found.append(value)
    return found, faults


def deploys(cells: Cells) -> tuple[list[bool], Faults]:
    """Give whether a deploy began, with those that are neither yes nor no."""
    faults = {
        at: f"deploy {quote(cell)} is neither true nor false"
        for at, cell in enumerate(cells)
        if not (cell is None or (type(cell) in (bool, int, float) and cell in (0, 1)))
    }
    return [cell is not None and bool(cell) for cell in cells], faults


def quote(cell: Any) -> str:
    """Quote a cell, shortened."""
    if cell is None:
        return "(none)"
    text = repr(cell)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _seconds(cell: Any) -> float | None:
    if type(cell) is str:
        return _of_iso(cell)
    if type(cell) not in (int, float):
        return None
    value = _float(cell)
    if not isfinite(value):
        return None
    return value / 1000 if abs(value) > _MILLISECONDS_FROM else value


def _of_iso(text: str) -> float | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if when.tzinfo is None else when.timestamp()


def _float(value: float) -> float:
    """Give the number; one too large is infinite, which those who check bounds refuse."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
