"""What a metric can be; a value beyond it is a mistake of a unit, a rule or a client."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from features.telemetry.columns import Bools, Floats

# What subtracting floats may leave of zero.
_ZERO: Final = -1e-9


class Bounds(NamedTuple):
    """From zero to the highest value; up to `slack` above it a value counts as the highest.

    Rates of two counters are extrapolated apart, and processors are given in time slices: a
    share that is 1 can be measured as 1.03, and is no mistake then.
    """

    highest: float
    slack: float = 0.0

    def within(self, values: Floats) -> Bools:
        return (values >= _ZERO) & (values <= self.highest + self.slack)

    def clipped(self, values: Floats) -> Floats:
        return np.clip(values, 0.0, self.highest)


_SHARE: Final = Bounds(1.0, slack=0.05)
_MANY: Final = Bounds(1e9)
_DAY_MS: Final = Bounds(86_400_000.0)

BOUNDS: Final[Mapping[str, Bounds]] = {
    "request_rate": _MANY,
    "error_rate": _SHARE,
    "load": Bounds(10_000.0),
    "infra": _SHARE,
    # Of all that the workers have, not processors: 7.5 would be processors.
    "cpu": _SHARE,
    "memory": _SHARE,
    "queue_depth": _MANY,
    "active_workers": _MANY,
    "p50_ms": _DAY_MS,
    "p95_ms": _DAY_MS,
    "p99_ms": _DAY_MS,
    "p999_ms": _DAY_MS,
}
