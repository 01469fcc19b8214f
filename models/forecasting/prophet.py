"""Prophet for many entities, served without Prophet: see prophet_curve.py for the formula."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Self

import numpy as np

from models.forecasting import artifact
from models.forecasting.answers import DRIVERS, Answer, stacked
from models.forecasting.forecaster import Forecast, HourlySeries
from models.forecasting.known import known_about
from models.forecasting.prophet_curve import ProphetCurve

KIND = "prophet"
LEVEL = 0.9


class ProphetForecaster:
    """Answers the entities it holds a curve of; the trend goes on from where training ended."""

    name = KIND

    def __init__(self, curves: Mapping[str, ProphetCurve], level: float = LEVEL) -> None:
        self.curves = dict(curves)
        self.level = level
        self._width = NormalDist().inv_cdf((1 + level) / 2)

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        return stacked([self._answer(each, horizon) for each in series], horizon, self.level)

    def save(self, folder: Path) -> None:
        curves = {entity: curve.document() for entity, curve in self.curves.items()}
        artifact.write(folder, KIND, {"level": self.level, "curves": curves})

    @classmethod
    def load(cls, folder: Path) -> Self:
        body = artifact.read(folder, KIND)
        curves = {entity: ProphetCurve.of(each) for entity, each in body["curves"].items()}
        return cls(curves, body["level"])

    def _answer(self, series: HourlySeries, horizon: int) -> Answer | None:
        if (curve := self.curves.get(series.entity)) is None:
            return None
        if (known := known_about(series, curve.names, 0, horizon)) is None:
            return None
        parts = curve.parts(series.end, series.step, horizon, known)
        spread = self._width * np.sqrt(parts.variance)
        point = parts.yhat
        if not math.isfinite(float(point.sum())):
            return None
        drivers = dict(zip(DRIVERS, parts[: len(DRIVERS)], strict=True))
        return Answer(point, point - spread, point + spread, drivers, "the curve of its history")
