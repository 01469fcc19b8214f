"""The table: every entity's hours ahead by every forecaster, made anew when an hour is over.

The hour in progress is forecast first. What it is expected to bring stands for `now`, against which
a request's own readings are held, and counts as the last hour of the past for those ahead, so that
what a client gets begins with the next full hour.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from deployments.forecasting.past import Past, series_of, unknown_entity, with_hour
from models.forecasting.chain import Chain, chain_of
from models.forecasting.forecaster import HOUR, LONGEST_HORIZON, Forecaster, HourlySeries
from models.forecasting.lasting import USUAL, lasting_of_all
from models.protocols import FloatArray

# Entities without a past are answered alike but for their name; so many are remembered.
MOST_UNKNOWN = 4096
NO_HISTORY = "no history of this entity"


@dataclass(frozen=True, slots=True)
class Ahead:
    """One entity's hours ahead by one chain."""

    start: int
    """Epoch seconds of the first hour, the next full one."""
    expected: float
    """Of the hour in progress; NaN where nothing is known."""
    point: FloatArray
    lower: FloatArray
    upper: FloatArray
    drivers: Mapping[str, list[float]]
    answered_by: str
    passed_over: Mapping[str, str]
    basis: str
    lasting: FloatArray
    """Share of what surprises in the hour in progress that is left in each hour."""


class ForecastTable:
    """Made whole in a thread and then swapped in; looking up never waits."""

    def __init__(
        self,
        forecasters: Mapping[str, Forecaster],
        missing: Mapping[str, str],
        past: Mapping[str, Past],
        now: float,
        models: Sequence[str],
    ) -> None:
        self._now = now
        self.past = past
        self.hour = int(now) // HOUR
        self._chains = {name: chain_of(forecasters, missing, name) for name in models}
        self._rows: dict[str, dict[str, Ahead]] = {}
        series = [series_of(entity, each) for entity, each in past.items()]
        lasting = lasting_of_all([each.rate for each in past.values()])
        for name, chain in self._chains.items():
            made = make(chain, series, lasting)
            self._rows[name] = dict(zip(past, made, strict=True))
        self._unknown: OrderedDict[tuple[str, str], Ahead] = OrderedDict()

    @property
    def entities(self) -> list[str]:
        return list(next(iter(self._rows.values()), {}))

    def ahead(self, entity: str, model: str) -> Ahead:
        """Look an entity up; one without a past gets an answer that says so."""
        found = self._rows[model].get(entity)
        return self._stranger(entity, model) if found is None else found

    def _stranger(self, entity: str, model: str) -> Ahead:
        key = (entity, model)
        if key not in self._unknown:
            (made,) = make(self._chains[model], [unknown_entity(entity, self._now)], [USUAL])
            self._unknown[key] = made
            while len(self._unknown) > MOST_UNKNOWN:
                self._unknown.popitem(last=False)
        return self._unknown[key]


def make(
    chain: Chain, series: Sequence[HourlySeries], lasting: Sequence[FloatArray]
) -> list[Ahead]:
    """Forecast the hour in progress, and from its end the hours ahead."""
    if not series:
        return []
    present = chain.forecast(series, 1).forecast.point[:, 0]
    there = [bool(np.isfinite(each.values).any()) for each in series]
    moved = [
        with_hour(each, rate) if measured else each
        for each, rate, measured in zip(series, present.tolist(), there, strict=True)
    ]
    chained = chain.forecast(moved, LONGEST_HORIZON)
    found = chained.forecast
    return [
        Ahead(
            start=each.end if there[row] else each.end + HOUR,
            expected=float(present[row]) if there[row] else float("nan"),
            point=np.maximum(found.point[row], 0.0),
            lower=np.maximum(found.lower[row], 0.0),
            upper=np.maximum(found.upper[row], 0.0),
            drivers={
                name: values[row].tolist()
                for name, values in found.drivers.items()
                if np.isfinite(values[row]).all()
            },
            answered_by=chained.answered_by[row],
            passed_over=chained.passed_over[row],
            basis=found.basis[row] if there[row] else NO_HISTORY,
            lasting=lasting[row],
        )
        for row, each in enumerate(moved)
    ]


def present_alone(ahead: Ahead, rate: float) -> Ahead:
    """Go by the present rate where the entity has no past and no forecaster knows of others.

    The interval says how little that is: from nothing to twice as much.
    """
    if not rate > 0 or np.any(ahead.upper > 0) or ahead.basis != NO_HISTORY:
        return ahead
    same = np.full(len(ahead.point), rate)
    basis = f"{NO_HISTORY}: the present rate"
    return replace(ahead, point=same, lower=0 * same, upper=2 * same, basis=basis)
