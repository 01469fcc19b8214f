"""What every forecaster promises: whole series in, hours ahead out, many entities in one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from models.protocols import FloatArray

HOUR = 3600
LONGEST_HORIZON = 24


@dataclass(frozen=True, slots=True)
class HourlySeries:
    """One entity's past, an hour a value, and what is known of its hours to come."""

    entity: str
    start: int
    """Epoch seconds of the first hour."""
    values: FloatArray
    """(hours,); NaN where nothing was measured."""
    known: FloatArray
    """(at least hours + horizon, names): calendar and events, past and to come."""
    names: tuple[str, ...]
    """What the columns of `known` are."""
    step: int = HOUR
    """Seconds from one value to the next; the cheap forecasters take daily series too."""

    @property
    def end(self) -> int:
        """Epoch seconds of the first hour to come."""
        return self.start + self.step * len(self.values)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Rows are the series asked for, columns the hours ahead; NaN where the model cannot say."""

    point: FloatArray
    lower: FloatArray
    upper: FloatArray
    level: float
    """How often the interval is meant to hold."""
    drivers: Mapping[str, FloatArray] = field(default_factory=dict)
    """Parts of the point (trend, seasonality, holidays), each of its shape."""
    basis: tuple[str, ...] = ()
    """For each row, in words, what it rests on; empty when that goes without saying."""


class Forecaster(Protocol):
    """Answers hourly forecasts; asking changes nothing in the model.

    A series that the model was not trained for, or that is too short for it, is a row of NaN, never
    an exception: the next of the fallback chain answers it. A series' answer is the same to the bit
    whatever others it was asked with.
    """

    name: str

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self: ...
