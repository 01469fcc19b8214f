"""The members on daily series of some years, and where they are fitted anew."""

from collections.abc import Sequence

from models.forecasting.fits import each_fitted
from models.forecasting.forecaster import Forecaster, HourlySeries
from models.forecasting.harmonic import Harmonic, HarmonicForecaster, fit_harmonic
from models.forecasting.prophet import LEVEL, ProphetForecaster
from models.forecasting.prophet_fit import fit_curve
from models.forecasting.rolling import Fit, Fold
from models.forecasting.seasonal_average import SeasonalAverage
from models.forecasting.seasonal_naive import SeasonalNaive

DAILY_LAGS = (364, 7)
"""Whole weeks, so that a year ago is the same day of the week."""
DAILY_SEASONS = ((365.25, 6), (7.0, 3))
DAILY_HALF_LIVES = (7, 28, 91, 364)


def daily_fits(*, seed: int, level: float = LEVEL, horizon: int) -> dict[str, Fit]:
    """Name the members for daily series of some years, asked for months ahead, as they are."""

    def naive(_: Sequence[HourlySeries]) -> Forecaster:
        return SeasonalNaive(DAILY_LAGS, level)

    def average(_: Sequence[HourlySeries]) -> Forecaster:
        return SeasonalAverage(DAILY_LAGS[0], level=level)

    def harmonic(series: Sequence[HourlySeries]) -> Forecaster:
        def fit(one: HourlySeries) -> Harmonic:
            return fit_harmonic(
                one, horizon, level=level, seasons=DAILY_SEASONS, half_lives=DAILY_HALF_LIVES
            )

        return HarmonicForecaster(each_fitted(series, fit), level)

    def prophet(series: Sequence[HourlySeries]) -> Forecaster:
        return ProphetForecaster(each_fitted(series, lambda one: fit_curve(one, seed=seed)), level)

    return {
        "seasonal_naive": naive,
        "seasonal_average": average,
        "harmonic": harmonic,
        "prophet": prophet,
    }


def evenly_back(horizon: int, length: int, *, least: int, every: int, most: int) -> list[Fold]:
    """Refit at each origin, `every` values apart, while `least` values stay to fit on."""
    backs = range(horizon, max(length - least, 0) + 1, every)
    return [Fold(back, (back,)) for back in list(backs)[:most]]
