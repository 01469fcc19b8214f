"""The chain that always answers: the first of several forecasters that has an answer to a row.

A forecaster that throws, is missing, or answers NaN is passed over, and the answer says which and
why. At the end stands the seasonal naive, which answers anything.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.forecasting.answers import DRIVERS
from models.forecasting.forecaster import Forecast, Forecaster, HourlySeries
from models.forecasting.seasonal_naive import SeasonalNaive
from models.protocols import FloatArray

ORDER = ("tft", "nbeats", "prophet", "seasonal_naive")
NO_ANSWER = "it cannot answer from this entity's history"


class _Row(NamedTuple):
    name: str
    said: Forecast
    place: int

    @property
    def basis(self) -> str:
        return self.said.basis[self.place] if self.said.basis else ""

    def driver(self, name: str) -> FloatArray | None:
        return self.said.drivers[name][self.place] if name in self.said.drivers else None


@dataclass(frozen=True, slots=True)
class Chained:
    """A forecast, whose row is whose, and why those before it were passed over."""

    forecast: Forecast
    answered_by: tuple[str, ...]
    """For each row; empty where none answered."""
    passed_over: tuple[Mapping[str, str], ...]
    """For each row: forecaster to reason, in the order of asking."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Asks its members in order, each only for the rows that are still open."""

    members: Sequence[Forecaster]
    absent: Mapping[str, str]
    """Those that should be members and are not, and why: not trained yet, not loaded."""

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Chained:
        found: list[_Row | None] = [None] * len(series)
        reasons: list[dict[str, str]] = [dict(self.absent) for _ in series]
        for member in self.members:
            rows = [row for row, each in enumerate(found) if each is None]
            if not rows:
                break
            for row, (said, why) in zip(rows, _ask(member, series, rows, horizon), strict=True):
                if said is None:
                    reasons[row][member.name] = why
                else:
                    found[row] = _Row(member.name, *said)
        names = tuple(each.name if each else "" for each in found)
        return Chained(_gathered(found, horizon), names, tuple(reasons))


def chain_of(
    forecasters: Mapping[str, Forecaster], missing: Mapping[str, str], first: str = ORDER[0]
) -> Chain:
    """Begin at `first`, go on in ORDER, and end with the seasonal naive whatever is missing."""
    after = ORDER[ORDER.index(first) :] if first in ORDER else (first, *ORDER)
    there = {SeasonalNaive.name: SeasonalNaive(), **forecasters}
    members = [there[name] for name in after if name in there]
    absent = {name: missing.get(name, "it is not loaded") for name in after if name not in there}
    return Chain(members, absent)


def _ask(
    member: Forecaster, series: Sequence[HourlySeries], rows: Sequence[int], horizon: int
) -> list[tuple[tuple[Forecast, int] | None, str]]:
    """Ask for all rows at once, and one by one when that throws: a bad row costs only itself."""
    try:
        said = member.forecast([series[row] for row in rows], horizon)
        shapes = {ends.shape for ends in (said.point, said.lower, said.upper)}
        if shapes != {(len(rows), horizon)}:
            return [(None, f"it answered in the shape {said.point.shape}")] * len(rows)
        return [
            ((said, place), "") if _is_whole(said, place) else (None, NO_ANSWER)
            for place in range(len(rows))
        ]
    except Exception as error:  # noqa: BLE001  whatever a model throws, the next one answers
        if len(rows) == 1:
            return [(None, f"{type(error).__name__}: {error}")]
        return [_ask(member, series, [row], horizon)[0] for row in rows]


def _is_whole(said: Forecast, row: int) -> bool:
    return all(np.isfinite(ends[row]).all() for ends in (said.point, said.lower, said.upper))


def _gathered(found: Sequence[_Row | None], horizon: int) -> Forecast:
    there = [each for each in found if each]
    drivers = DRIVERS if any(each.said.drivers for each in there) else ()
    return Forecast(
        point=_stack([each and each.said.point[each.place] for each in found], horizon),
        lower=_stack([each and each.said.lower[each.place] for each in found], horizon),
        upper=_stack([each and each.said.upper[each.place] for each in found], horizon),
        level=min((each.said.level for each in there), default=math.nan),
        drivers={
            name: _stack([each and each.driver(name) for each in found], horizon)
            for name in drivers
        },
        basis=tuple(each.basis if each else "" for each in found),
    )


def _stack(rows: Sequence[FloatArray | None], horizon: int) -> FloatArray:
    empty = np.full(horizon, np.nan)
    filled = [empty if row is None else row for row in rows]
    return np.stack(filled) if filled else np.zeros((0, horizon))
