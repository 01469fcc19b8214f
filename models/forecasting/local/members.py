"""The methods that are tried on every series, each from all origins at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.compiled import compiled
from models.forecasting.local.regression import fewest_values, lags_of, regressed
from models.forecasting.local.scale import Scale, scales_of
from models.forecasting.local.smoothing import smoothed
from models.protocols import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Member:
    """One method's forecasts."""

    kind: str
    """As a request may name it."""
    name: str
    forecasts: FloatArray
    """(origins, horizon); NaN where it cannot say."""


def members_of(
    values: FloatArray, seasons: tuple[int, ...], origins: IntArray, horizon: int
) -> Iterator[Member]:
    """Forecast by each method that the series is long enough for."""
    for season in (*seasons, 1):
        found = np.empty((len(origins), horizon))
        repeat_season(values, season, origins, found)
        kind = "naive" if season == 1 else "seasonal_naive"
        yield Member(kind, f"{kind} {season}" if season > 1 else kind, found)
    for scale in scales_of(values):
        yield from _on_scale(scale, seasons, origins, horizon)


def _on_scale(
    scale: Scale, seasons: tuple[int, ...], origins: IntArray, horizon: int
) -> Iterator[Member]:
    def back(kind: str, name: str, found: FloatArray) -> Member:
        label = f"{name} of logarithms" if scale.logarithmic else name
        return Member(kind, label, scale.back(found))

    values = scale.values
    short = seasons[0] if seasons else 1
    pairs = {(short, 1), (short, seasons[-1] if len(seasons) > 1 else 1)}
    for pair in sorted(pairs):
        name = "ets " + " ".join(str(each) for each in pair if each > 1)
        found = smoothed(values, pair, origins, horizon, theta=False)
        yield back("ets", name.strip(), found)
    yield back("theta", "theta", smoothed(values, (short, 1), origins, horizon, theta=True))
    for lags in lags_of(seasons):
        if fewest_values(lags) < len(values):
            found = regressed(values, lags, origins, horizon, scale.bounds)
            yield back("regression", f"regression on {len(lags)} lags", found)


@compiled
def repeat_season(
    values: FloatArray, season: int, origins: IntArray, forecasts: FloatArray
) -> None:
    """Fill (origins, horizon) with the latest measured value whole seasons before; NaN for none."""
    for place in range(len(origins)):
        first = int(origins[place])
        for ahead in range(forecasts.shape[1]):
            at = first + ahead - season * (ahead // season + 1)
            while at >= 0 and np.isnan(values[at]):
                at -= season
            forecasts[place, ahead] = values[at] if at >= 0 else np.nan
