"""N-BEATS: reads nothing but the past week, so it answers where nothing else is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.errors import ArtifactError
from models.forecasting import artifact
from models.forecasting.answers import Answer, stacked
from models.forecasting.forecaster import HOUR, Forecast, HourlySeries
from models.forecasting.neural import arrays
from models.forecasting.neural.gaps import latest_hours
from models.forecasting.neural.nbeats_kernel import Blocks, forward
from models.forecasting.neural.nbeats_weights import blocks_of
from models.forecasting.neural.scale_kernel import Scaled, scaled
from models.protocols import FloatArray

KIND = "nbeats"
PAST = 168
"""Hours it reads: what stood there a week ago is the first of them."""
EPSILON = float(np.finfo(np.float32).eps)
"""Added to the spread by pytorch-forecasting's EncoderNormalizer."""


class NBeats:
    """One network for all series; each is scaled by its own past week."""

    name = KIND

    def __init__(
        self,
        weights: Mapping[str, Any],
        lower: FloatArray,
        upper: FloatArray,
        level: float = 0.9,
    ) -> None:
        """Serve the weights; `lower` and `upper` are the errors' quantiles by hour, scaled."""
        self.weights = arrays.read(arrays.written(weights))
        self.lower = np.asarray(lower, np.float64)
        self.upper = np.asarray(upper, np.float64)
        self.level = level
        self._blocks: Blocks = blocks_of(self.weights)

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        windows = [window_of(each) for each in series]
        points = iter(self.scaled_points([window for window in windows if window]))
        answers = [self._answer(each, next(points)[:horizon]) if each else None for each in windows]
        return stacked(answers, horizon, self.level)

    def scaled_points(self, windows: Sequence[Scaled]) -> FloatArray:
        """Forecast in the networks' units, a row a window."""
        past = [window.values for window in windows]
        return forward(self._blocks, np.stack(past) if past else np.zeros((0, PAST)))

    def save(self, folder: Path) -> None:
        body = {
            "weights": arrays.written(self.weights),
            "lower": self.lower,
            "upper": self.upper,
            "level": self.level,
        }
        artifact.write(folder, KIND, body)

    @classmethod
    def load(cls, folder: Path) -> Self:
        body = artifact.read(folder, KIND)
        try:
            weights = arrays.read(body["weights"])
            return cls(weights, body["lower"], body["upper"], body["level"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ArtifactError(
                f"{folder} holds no complete {KIND}: {error!r}; train again"
            ) from error

    def _answer(self, window: Scaled, point: FloatArray) -> Answer | None:
        low, high = point + self.lower[: point.size], point + self.upper[: point.size]
        rows = window.back(np.stack([point, low, high]))
        return Answer(rows[0], rows[1], rows[2]) if np.isfinite(rows).all() else None


def window_of(series: HourlySeries) -> Scaled | None:
    """Take the hours that the network reads; None when there are too few."""
    if series.step != HOUR:
        return None
    values = latest_hours(series, PAST, PAST)
    return None if values is None else scaled(values, EPSILON, curved=True)
