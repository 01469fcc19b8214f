"""One sample and its fit, where the product takes many at once."""

from typing import Any

import numpy as np

from models.tail.extremes.excesses import Excesses, excesses_over, observed_values
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.gpd_fit import fit_gpds


def fit_gpd(sample: Excesses) -> GpdFit:
    return fit_gpds([sample])[0]


def excesses_above_quantile(values: Any, quantile: float) -> Excesses:
    """Take the excesses over the series' own quantile."""
    seen = observed_values(values)
    return excesses_over(seen, float(np.quantile(seen, quantile)))


def upper_end(fit: GpdFit) -> float:
    """Say where a law with a shape below nought ends."""
    return fit.sample.threshold - fit.scale / fit.shape
