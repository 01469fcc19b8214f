"""How much of a series must be measured before a season is read into it.

A curve with a day's waves that is fitted to five hours fits them, and is wild in the sixth.
"""

import math

from models.errors import TrainingDataError
from models.forecasting.forecaster import HOUR, HourlySeries
from models.needs import PROPHET

_FEWEST = 2  # of a series of days or weeks


def refuse_short(series: HourlySeries, measured: int, what: str) -> None:
    """Raise TrainingDataError where fewer values were measured than `what` is fitted to."""
    wanted = max(math.ceil(PROPHET.least_hours * HOUR / series.step), _FEWEST)
    if measured < wanted:
        raise TrainingDataError(
            f"{series.entity}: {measured} values were measured, and {what} needs {wanted}"
        )
