"""How much each input of a tail model matters, as its version keeps it among its metrics."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

FEATURES = {
    "load": ("load",),
    "infra": ("infra",),
    "error_rate": ("error_rate",),
    "rate_ratio": ("request_rate", "baseline_rate"),
}
"""The features of which each input is made."""
_SHARE, _ERROR = "importance_", "importance_error_"


class Importance(NamedTuple):
    share: float
    """By which the loss grows where the input is shuffled; about 0 where it does not matter."""
    error: float
    """Its standard error over the held-out hours; NaN where there are fewer than two."""


def named(found: Mapping[str, Importance]) -> dict[str, float]:
    """Name them as metrics of a version; JSON has no NaN, so an error that is none lacks."""
    shares = {f"{_SHARE}{name}": each.share for name, each in found.items()}
    errors = {f"{_ERROR}{name}": each.error for name, each in found.items()}
    return shares | {name: error for name, error in errors.items() if np.isfinite(error)}


def read_importances(metrics: Mapping[str, float]) -> dict[str, Importance]:
    """Read what `named` wrote, the greatest first; nothing of a version that says nothing."""
    found = {
        name: Importance(metrics[f"{_SHARE}{name}"], metrics.get(f"{_ERROR}{name}", np.nan))
        for name in FEATURES
        if f"{_SHARE}{name}" in metrics
    }
    return dict(sorted(found.items(), key=lambda each: -each[1].share))
