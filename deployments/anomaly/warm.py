"""Asks every detector once, so that the first request of a replica waits for no compiler."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.handler import StreamHandler
from deployments.anomaly.operations import (
    Choice,
    Look,
    Observe,
    ObserveNumbers,
    ObservePoints,
    PointChoice,
    Value,
)
from deployments.anomaly.points import PointHandler
from deployments.anomaly.regime import RegimeHandler
from deployments.runtime.state.handler import StateRequest

_ROWS = 600  # past the warm-ups, so that all branches are compiled


@cache
def warm() -> None:
    """Go the whole way of a request, with handlers that nobody else has."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=_ROWS).tolist()
    numbers: list[ObserveNumbers] = [
        {"op": "observe", "values": values},
        {"op": "observe", "values": values, "choice": 50.0},
    ]
    _follow(RegimeHandler(AlarmBudget(0.0), _clock), numbers)
    points = draw.normal(size=(_ROWS, 2)).tolist()
    choices: tuple[PointChoice, ...] = ("both", {"detector": "fleet", "members": 2})
    for choice in choices:
        ask: ObservePoints = {"op": "observe", "values": points, "choice": choice}
        _follow(PointHandler(AlarmBudget(0.0), _clock), [ask])


def _follow(
    handler: StreamHandler[Value, Choice, Any], asks: Sequence[Observe[Value, Choice]]
) -> None:
    stream = handler.fresh("warm")
    for ask in asks:
        handler.answer([(stream, _request(ask))])
    again = handler.decode("warm", handler.encode(stream))
    handler.answer([(again, _request(asks[0]))])
    handler.release(again)


def _request(ask: Observe[Value, Choice]) -> StateRequest[Observe[Value, Choice] | Look]:
    return StateRequest("warm", "warm", ask, settings=StreamsConfig())


def _clock() -> float:
    return 0.0
