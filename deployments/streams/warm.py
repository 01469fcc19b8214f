"""Calls every kernel once, so that the first request of a replica waits for no compiler."""

import numpy as np

from models.anomaly.streams import AnomalyStreams, RegimeStreams

_POINTS = 600  # past every warm-up, so that all branches are compiled


def warm() -> None:
    draw = np.random.default_rng(0)
    regimes = RegimeStreams()
    values = draw.normal(size=(_POINTS, 1))
    regimes.advance(np.full(_POINTS, regimes.open(0)), values, 0.0)
    regimes.decode(regimes.encode(0))
    for dimensions in (1, 2):
        forests = AnomalyStreams(dimensions, "both")
        points = draw.normal(size=(_POINTS, dimensions))
        forests.advance(np.full(_POINTS, forests.open(0)), points, 0.0)
        forests.decode(forests.encode(0))
