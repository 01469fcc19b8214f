"""Lets forecasters that come later into an ensemble: the cheap ones answer while those train."""

from collections.abc import Sequence

from models.forecasting.ensemble import EnsembleForecaster
from models.forecasting.forecaster import LONGEST_HORIZON, Forecaster, HourlySeries
from models.forecasting.rolling import Fit, PastForecasts, roll
from models.forecasting.training import CheapForecasters, blends_of, fold_of


def joined(
    cheap: CheapForecasters,
    others: Sequence[Forecaster],
    series: Sequence[HourlySeries],
    *,
    horizon: int = LONGEST_HORIZON,
) -> EnsembleForecaster:
    """Weigh all members anew by what they said of the week that the cheap ones were weighed on.

    The series are those that `train_cheap` had. The others are asked as they are, so they must not
    have been trained on the latest eight days, or they would be weighed by what they have seen.
    """
    fits: dict[str, Fit] = {each.name: _as_it_is(each) for each in others}
    later = roll(series, fits, [fold_of(horizon)], horizon)
    together = {entity: _beside(each, later[entity]) for entity, each in cheap.rolled.items()}
    old = cheap.ensemble
    blends = blends_of(together, old.shifts, old.level)
    return EnsembleForecaster((*old.members, *others), blends, old.level, old.shifts)


def _as_it_is(forecaster: Forecaster) -> Fit:
    def fitted(_: Sequence[HourlySeries]) -> Forecaster:
        return forecaster

    return fitted


def _beside(first: PastForecasts, second: PastForecasts) -> PastForecasts:
    return PastForecasts({**first.points, **second.points}, first.truth, first.stretches)
