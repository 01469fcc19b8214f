"""Forecasters that hold one fit for each entity: how they answer, and how they are saved."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from models.forecasting import artifact
from models.forecasting.answers import Answer, stacked
from models.forecasting.forecaster import Forecast, HourlySeries

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FitT = TypeVar("FitT", bound="DataclassInstance")


class FittedForecaster(ABC, Generic[FitT]):
    """Answers the entities it was fitted to."""

    name: str

    def __init__(self, fits: Mapping[str, FitT], level: float = 0.9) -> None:
        self.fits = dict(fits)
        self.level = level

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        return stacked([self._answer(each, horizon) for each in series], horizon, self.level)

    def save(self, folder: Path) -> None:
        fits = {entity: asdict(fit) for entity, fit in self.fits.items()}
        artifact.write(folder, self.name, {"level": self.level, "fits": fits})

    @classmethod
    def load(cls, folder: Path) -> Self:
        body = artifact.read(folder, cls.name)
        fits = {entity: cls._fit_of(each) for entity, each in body["fits"].items()}
        return cls(fits, body["level"])

    @classmethod
    @abstractmethod
    def _fit_of(cls, document: Mapping[str, Any]) -> FitT:
        """Read a fit as it was saved."""

    @abstractmethod
    def _answer(self, series: HourlySeries, horizon: int) -> Answer | None:
        """Forecast one series; None where nothing was fitted to its entity."""
