"""The temporal fusion transformer: forecasts with its interval, and says what it looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.errors import ArtifactError
from models.forecasting import artifact
from models.forecasting.answers import Answer, stacked
from models.forecasting.forecaster import Forecast, HourlySeries
from models.forecasting.neural import arrays
from models.forecasting.neural.tft_inputs import PAST, Layout, NetworkInput, network_input
from models.forecasting.neural.tft_kernel import Inputs, Network, Outputs, forward
from models.forecasting.neural.tft_weights import network_of
from models.protocols import FloatArray

KIND = "tft"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEVEL = 0.9
_LOWER, _MEDIAN, _UPPER = 0, 2, 4


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the network looked at; a row a series, NaN where it had no answer."""

    attention: FloatArray
    """(rows, hours ahead, past hours): shares of its attention; what is left went to the hours
    ahead before that hour."""
    static: Mapping[str, FloatArray]
    """How much each constant of the series counted, from 0 to 1; those of a row sum to 1."""
    encoder: Mapping[str, FloatArray]
    """The same for each variable of the past hours, on the mean of them."""
    decoder: Mapping[str, FloatArray]
    """The same for each variable of the hours ahead."""


class TemporalFusionTransformer:
    """One network for all series; each is scaled by its own past weeks."""

    name = KIND

    def __init__(
        self, weights: Mapping[str, Any], layout: Layout, offsets: FloatArray | None = None
    ) -> None:
        """Serve the weights; `offsets` widen the interval by hour, in the network's units."""
        self.weights = arrays.read(arrays.written(weights))
        self.layout = layout
        self.offsets = np.zeros(24) if offsets is None else np.asarray(offsets, np.float64)
        self._network: Network = network_of(
            self.weights, layout.static, layout.encoder, layout.decoder
        )

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        views = [network_input(each, horizon, self.layout) for each in series]
        rows = iter(self.scaled_quantiles([view for view in views if view], horizon))
        answers = [self._answer(view, next(rows)) if view else None for view in views]
        return stacked(answers, horizon, LEVEL)

    def explain(self, series: Sequence[HourlySeries], horizon: int) -> Explanation:
        views = [network_input(each, horizon, self.layout) for each in series]
        there = np.array([view is not None for view in views], bool)
        outputs = self._forward([view for view in views if view], horizon)
        return Explanation(
            _spread_out(outputs.attention, there),
            self._counted(self.layout.static, outputs.static, there),
            self._counted(self.layout.encoder, outputs.encoder, there),
            self._counted(self.layout.decoder, outputs.decoder, there),
        )

    def scaled_quantiles(self, views: Sequence[NetworkInput], horizon: int) -> FloatArray:
        """Forecast in the network's units: (rows, hours ahead, QUANTILES), in increasing order."""
        return np.sort(self._forward(views, horizon).quantiles, axis=-1)

    def save(self, folder: Path) -> None:
        body = {
            "weights": arrays.written(self.weights),
            "layout": asdict(self.layout),
            "offsets": self.offsets,
        }
        artifact.write(folder, KIND, body)

    @classmethod
    def load(cls, folder: Path) -> Self:
        body = artifact.read(folder, KIND)
        try:
            names = {key: tuple(body["layout"][key]) for key in _NAMES}
            scalers = {name: (pair[0], pair[1]) for name, pair in body["layout"]["scalers"].items()}
            layout = Layout(scalers=scalers, **names)
            return cls(arrays.read(body["weights"]), layout, body["offsets"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ArtifactError(
                f"{folder} holds no complete {KIND}: {error!r}; train again"
            ) from error

    def _forward(self, views: Sequence[NetworkInput], horizon: int) -> Outputs:
        static, encoder, decoder = (len(getattr(self.layout, name)) for name in _NAMES[1:])
        inputs = Inputs(
            _stacked([view.static for view in views], (static,)),
            _stacked([view.encoder for view in views], (PAST, encoder)),
            _stacked([view.decoder for view in views], (horizon, decoder)),
        )
        return forward(self._network, inputs)

    def _answer(self, view: NetworkInput, quantiles: FloatArray) -> Answer | None:
        point, offsets = quantiles[:, _MEDIAN], self.offsets[: len(quantiles)]
        lower = np.minimum(quantiles[:, _LOWER] - offsets, point)
        upper = np.maximum(quantiles[:, _UPPER] + offsets, point)
        rows = view.scale.back(np.stack([point, lower, upper]))
        return Answer(rows[0], rows[1], rows[2]) if np.isfinite(rows).all() else None

    def _counted(
        self, names: Sequence[str], weights: FloatArray, there: Any
    ) -> dict[str, FloatArray]:
        rows = _spread_out(weights, there)
        return {self.layout.title(name): rows[:, place] for place, name in enumerate(names)}


_NAMES = ("known", "static", "encoder", "decoder")


def _stacked(rows: Sequence[FloatArray], shape: tuple[int, ...]) -> FloatArray:
    return np.stack(rows) if rows else np.zeros((0, *shape))


def _spread_out(rows: FloatArray, there: Any) -> FloatArray:
    """Put the rows where they belong among those without an answer."""
    out = np.full((there.size, *rows.shape[1:]), np.nan)
    out[there] = rows
    return out
