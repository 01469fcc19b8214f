"""What stood there a season before, from many origins at once."""

import numpy as np

from models.compiled import compiled
from models.protocols import FloatArray, IntArray


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
