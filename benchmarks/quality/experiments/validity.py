"""Whether a confidence sequence was wrong at any time, where the true means are known."""

import math

import numpy as np

from models.optimization.evaluation.confidence_sequence import STAKES
from models.protocols import FloatArray


def ever_wrong(wealth: FloatArray, means: FloatArray, risk: float) -> bool:
    """Say whether the bound was over the mean so far at any time."""
    at_truth = wealth - STAKES[:, None] * np.cumsum(means)
    capital = np.logaddexp.reduce(at_truth, axis=0) - math.log(STAKES.size)
    return bool((capital >= -math.log(risk)).any())
