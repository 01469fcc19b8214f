"""What a request asks of a tail: the gateway writes it, the tail deployment reads it."""

from typing import Literal, TypedDict


class _Fit(TypedDict):
    metric: str | None
    """The entity's telemetry; None where the request brings its values."""
    return_periods: list[float]
    confidence: float
    judged: float | None
    """The value to be judged; the latest where there is none."""


class FitPeaks(_Fit):
    """Fit what exceeds a threshold."""

    method: Literal["peaks_over_threshold"]
    threshold_quantile: float | None
    """None leaves it to a rule with diagnostics."""
    dependent: bool
    """Whether extremes come in clusters, of which one peak each counts."""


class FitBlocks(_Fit):
    """Fit the largest value of each block."""

    method: Literal["block_maxima"]
    threshold_quantile: float
    block: int
    """How many observations a block has."""


Fit = FitPeaks | FitBlocks


class FitTail(TypedDict):
    """One row's request."""

    fit: Fit
    values: list[float] | None
