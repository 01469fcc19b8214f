"""Telemetry as the tail model learns from it: relative to each entity's normal, split by time."""

from typing import NamedTuple, Self

import numpy as np

from models.errors import TrainingDataError
from models.protocols import BoolArray, Columns, FloatArray, IntArray
from models.tail.baselines import TRAILING_DAYS, trailing_baselines
from models.tail.inputs import design

WANTED = (
    "ts", "entity", "load", "infra", "request_rate", "error_rate", "p50_ms", "exemplars",
)  # fmt: skip
_HOUR, _DAY = 3_600, 86_400
_TRAINED = 0.75  # of the minutes; the rest, the most recent, calibrate and judge
_LEAST_MINUTES = 2_000  # in each part: below, no p99.9 can be learnt nor an interval calibrated


class History(NamedTuple):
    """Minutes that have a baseline."""

    inputs: FloatArray
    targets: FloatArray
    """log(latency / baseline) of each minute's exemplars, a row a minute."""
    ts: IntArray

    def where(self, chosen: BoolArray) -> Self:
        return type(self)(self.inputs[chosen], self.targets[chosen], self.ts[chosen])


class Split(NamedTuple):
    train: History
    calibration: History
    held_out: History


def history_of(columns: Columns) -> History:
    """Every minute that is whole; TrainingDataError when a column is missing."""
    if missing := [name for name in WANTED if name not in columns]:
        raise TrainingDataError(f"the telemetry lacks {', '.join(missing)}")
    baseline_ms, baseline_rate = trailing_baselines(columns)
    ratio = columns["request_rate"] / baseline_rate
    inputs = design(columns["load"], columns["infra"], columns["error_rate"], ratio)
    latencies = np.where(columns["exemplars"] > 0, columns["exemplars"], np.nan)
    targets = np.log(latencies / baseline_ms[:, None])
    whole: BoolArray = np.isfinite(np.hstack([inputs, targets])).all(axis=1)
    return History(inputs, targets, columns["ts"]).where(whole)


def split_by_time(history: History) -> Split:
    """Train on the older three quarters; calibrate and judge on alternate hours of the last.

    Conformal calibration asks that the calibration rows and the rows to come be exchangeable. The
    most recent weeks are the nearest to what comes, so they are kept from training. Calibration
    and held-out rows take turns by the hour, and swap turns each day, so that both see every hour
    of the day, and a change of regime half-way falls on both: the held-out coverage then tells
    whether calibration is right. Drift after the last row it cannot tell; that is for the online
    layer.
    """
    if history.ts.size == 0:
        raise TrainingDataError(f"no history is left after the {TRAILING_DAYS} days for baselines")
    cut = np.quantile(history.ts, _TRAINED)
    recent = history.ts >= cut
    turn = (history.ts // _HOUR + history.ts // _DAY) % 2 == 0
    split = Split(
        history.where(~recent), history.where(recent & turn), history.where(recent & ~turn)
    )
    _refuse_small(split)
    return split


def _refuse_small(split: Split) -> None:
    for name, part in split._asdict().items():
        if part.ts.size < _LEAST_MINUTES:
            raise TrainingDataError(
                f"there are {part.ts.size} minutes of history for {name}, and "
                f"{_LEAST_MINUTES} are needed: give some weeks of telemetry beyond the "
                f"{TRAILING_DAYS} days for baselines"
            )
