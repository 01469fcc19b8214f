"""Asks every detector once, so that the first request of a replica waits for no compiler."""

from functools import cache
from typing import Any

import numpy as np

from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.keeper import StreamKeeper
from deployments.anomaly.points import PointKeeper
from deployments.anomaly.regime import RegimeKeeper
from deployments.runtime.state.keeper import Asked

_ROWS = 600  # past the warm-ups, so that all branches are compiled


@cache
def warm() -> None:
    """Go the whole way of a request, with keepers that nobody else has."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=_ROWS).tolist()
    _follow(RegimeKeeper(AlarmBudget(0.0), _clock), [{"v": values}, {"v": values, "c": 50.0}])
    points = draw.normal(size=(_ROWS, 2)).tolist()
    for choice in ("both", {"detector": "fleet", "members": 2}):
        _follow(PointKeeper(AlarmBudget(0.0), _clock), [{"v": points, "c": choice}])


def _follow(keeper: StreamKeeper[Any], asks: list[dict[str, object]]) -> None:
    stream = keeper.fresh("warm")
    for ask in asks:
        keeper.answer([(stream, _asked(ask))])
    again = keeper.decode("warm", keeper.encode(stream))
    keeper.answer([(again, _asked(asks[0]))])
    keeper.release(again)


def _asked(ask: dict[str, object]) -> Asked:
    return Asked("warm", "warm", {"op": "observe", **ask}, settings=StreamsConfig())


def _clock() -> float:
    return 0.0
