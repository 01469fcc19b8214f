"""Choosing the threshold by a rule, with the two diagrams that one would look at instead.

The rule: among the candidate quantiles take the lowest from which on the shape is stable. If the
generalised Pareto law holds above one threshold, it holds above all higher ones with the same
shape (Coles 2001, section 4.3.4), and the fit with fewer data is the sum of the fit with more and
an independent error. So each higher shape should differ by no more than the root of the difference
of the two variances suggests (Hausman, Specification tests in econometrics, 1978). A candidate is
stable when none of the higher ones differs by more than `DIFFERENCE` such errors. When none is, the
highest is taken, and said to be unstable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.errors import TrainingDataError
from models.protocols import BoolArray, FloatArray
from models.tail.extremes.excesses import FEWEST, Excesses, excesses_over, observed_values
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.gpd_fit import fit_gpds

CANDIDATES = (0.86, 0.88, 0.90, 0.92, 0.94, 0.96, 0.98)
DIFFERENCE = 2.0
_FEWEST_TO_JUDGE = 2 * FEWEST


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The chosen threshold, and for each candidate what the diagrams show."""

    threshold: float
    quantile: float
    stable: bool
    quantiles: FloatArray
    thresholds: FloatArray
    exceedances: FloatArray
    mean_excess: FloatArray
    mean_excess_error: FloatArray
    """Straight in the threshold where the law holds, with slope shape / (1 - shape)."""
    shape: FloatArray
    shape_error: FloatArray
    modified_scale: FloatArray
    """Scale less shape times threshold: level where the law holds, as the shape is."""
    modified_scale_error: FloatArray


def choose_threshold(
    values: ArrayLike, candidates: Sequence[float] = CANDIDATES
) -> ThresholdChoice:
    """Choose by the rule above; TrainingDataError when no candidate leaves enough exceedances."""
    seen = observed_values(values)
    quantiles, samples = _samples(seen, sorted(candidates))
    fits = fit_gpds(samples)
    stable = _stable(fits)
    chosen = int(stable.argmax()) if stable.any() else len(fits) - 1
    return ThresholdChoice(
        threshold=samples[chosen].threshold,
        quantile=float(quantiles[chosen]),
        stable=bool(stable[chosen]),
        quantiles=quantiles,
        thresholds=np.array([sample.threshold for sample in samples]),
        exceedances=np.array([float(sample.excess.size) for sample in samples]),
        mean_excess=np.array([sample.excess.mean() for sample in samples]),
        mean_excess_error=np.array(
            [sample.excess.std(ddof=1) / np.sqrt(sample.excess.size) for sample in samples]
        ),
        shape=np.array([fit.shape for fit in fits]),
        shape_error=np.array([fit.standard_errors[1] for fit in fits]),
        modified_scale=np.array([fit.scale - fit.shape * fit.sample.threshold for fit in fits]),
        modified_scale_error=np.array([_modified_scale_error(fit) for fit in fits]),
    )


def _samples(seen: FloatArray, candidates: list[float]) -> tuple[FloatArray, list[Excesses]]:
    thresholds = np.quantile(seen, candidates)
    kept = [
        (quantile, excesses_over(seen, float(threshold)))
        for quantile, threshold in zip(candidates, thresholds.tolist(), strict=True)
        if np.count_nonzero(seen > threshold) >= _FEWEST_TO_JUDGE
    ]
    if not kept:
        raise TrainingDataError(
            f"no candidate threshold leaves {_FEWEST_TO_JUDGE} of {seen.size} values "
            "above it: give more values, or choose the threshold"
        )
    quantiles, samples = zip(*kept, strict=True)
    return np.array(quantiles), list(samples)


def _stable(fits: list[GpdFit]) -> BoolArray:
    shape = np.array([fit.shape for fit in fits])
    variance = np.array([fit.covariance[1, 1] for fit in fits])
    apart = shape[None, :] - shape[:, None]
    spread = np.sqrt(np.maximum(variance[None, :] - variance[:, None], 0))
    higher = np.triu(np.ones((len(fits), len(fits)), dtype=np.bool_), 1)
    # A fit without a variance (NaN) judges nothing and is no candidate itself.
    differs = higher & (np.abs(apart) > DIFFERENCE * spread) & ~np.isnan(variance)[None, :]
    stable: BoolArray = ~differs.any(axis=1) & ~np.isnan(variance)
    return stable


def _modified_scale_error(fit: GpdFit) -> float:
    way = np.array([1.0, -fit.sample.threshold])
    return float(np.sqrt(way @ fit.covariance @ way))
