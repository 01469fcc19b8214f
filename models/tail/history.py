"""Telemetry as the tail model learns from it: relative to each entity's normal, split by time."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.needs import TAIL
from models.protocols import BoolArray, Columns, FloatArray, IntArray
from models.tail.baselines import TRAILING_DAYS, growing_baselines, trailing_baselines
from models.tail.buckets import Bucket, usual_buckets
from models.tail.inputs import SELDOM, design
from models.tail.requests import Target, requests_of

_HOUR, _DAY = 3_600, 86_400
_TRAINED = 0.75  # of the intervals; the rest, the most recent, calibrate and judge
_LEAST_MINUTES = 2_000  # in each part: below, no p99.9 can be learnt nor an interval calibrated
_FEWEST = 50  # in each part of a short history
_TURNS = 8  # by which calibration and judging alternate in what is recent of a short history
_BLOCKS = 24  # in which the baseline of a short history grows
_SEED_OF_DRAWS = 11

Baselines = Callable[[Columns], tuple[FloatArray, FloatArray]]


class History(NamedTuple):
    """Intervals that have a baseline."""

    inputs: FloatArray
    """NaN where an input was not measured, which the booster takes as such."""
    targets: FloatArray
    """log(latency / baseline) of each interval's requests, a row an interval."""
    ts: IntArray
    entity: NDArray[Any]
    target: Target = "exemplars"
    """What the requests are."""

    def where(self, chosen: BoolArray) -> Self:
        inputs, targets, ts = self.inputs[chosen], self.targets[chosen], self.ts[chosen]
        return type(self)(inputs, targets, ts, self.entity[chosen], self.target)


class Split(NamedTuple):
    train: History
    calibration: History
    held_out: History


class Prepared(NamedTuple):
    """What a model is trained on, and what it rests on."""

    split: Split
    target: Target
    cadence_seconds: float
    hours: float
    """From the first interval to the last."""
    turn_seconds: int
    """By which calibration and judging alternate."""
    short: bool
    """Whether baselines had to do with less than their trailing days."""
    buckets: Mapping[str, Bucket]
    """Of entities whose latencies are not measured but bounded."""


def prepare(columns: Columns, seed: int) -> Prepared:
    """Read and split the history, however short; TrainingDataError says what is missing.

    Entities that lie within one bucket teach nothing, unless there is too little without them.
    """
    buckets = usual_buckets(columns)
    if buckets:
        measured = ~np.isin(columns["entity"], [*buckets])
        others = {name: values[measured] for name, values in columns.items()}
        with suppress(TrainingDataError):
            return _prepare(others, seed)._replace(buckets=buckets)
    return _prepare(columns, seed)._replace(buckets=buckets)


def _prepare(columns: Columns, seed: int) -> Prepared:
    history = history_of(columns, seed)
    cadence, span = _cadence(columns), int(np.ptp(columns["ts"])) if len(columns["ts"]) else 0
    if history.ts.size:
        split = _halves(history, _HOUR)
        if min(part.ts.size for part in split) >= _LEAST_MINUTES:
            return Prepared(split, history.target, cadence, span / _HOUR, _HOUR, False, {})
    _refuse_short(columns, cadence)
    block = int(max(cadence, min(span / _BLOCKS, _HOUR)))
    since = int(columns["ts"].min()) + max(span // 4, block)
    history = history_of(columns, seed, lambda rows: growing_baselines(rows, since, block))
    turn = int(max(cadence, min(span * (1 - _TRAINED) / _TURNS, _HOUR)))
    split = split_by_time(history, turn, _FEWEST)
    return Prepared(split, history.target, cadence, span / _HOUR, turn, True, {})


def split_by_time(
    history: History, turn_seconds: int = _HOUR, least: int = _LEAST_MINUTES
) -> Split:
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
    split = _halves(history, turn_seconds)
    _refuse_small(split, least)
    return split


def history_of(
    columns: Columns, seed: int = 0, baselines: Baselines = trailing_baselines
) -> History:
    """Every interval that is whole; TrainingDataError when what is required is missing."""
    TAIL.refuse_without([name for name in columns if _is_there(columns, name)])
    baseline_ms, baseline_rate = baselines(columns)
    ratio = columns["request_rate"] / baseline_rate
    optional = {name: _input(columns, name) for name in TAIL.can_do_without}
    inputs = design(**optional, rate_ratio=ratio)
    # A generator of its own: what else is drawn is the same whether requests are drawn or not.
    requests = requests_of(columns, np.random.default_rng([seed, _SEED_OF_DRAWS]))
    targets = np.log(requests.latencies / baseline_ms[:, None])
    whole: BoolArray = np.isfinite(np.hstack([inputs[:, -1:], targets])).all(axis=1)
    for column in optional.values():
        lacks = np.isnan(column)
        if lacks[whole].mean() < SELDOM if whole.any() else False:
            whole &= ~lacks
    history = History(inputs, targets, columns["ts"], columns["entity"], requests.target)
    return history.where(whole)


def _input(columns: Columns, name: str) -> FloatArray:
    values = columns.get(name)
    if values is None:
        return np.full(len(columns["ts"]), np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _is_there(columns: Columns, name: str) -> bool:
    values = np.asarray(columns[name])
    return values.dtype.kind != "f" or bool(np.isfinite(values).any())


def _halves(history: History, turn_seconds: int) -> Split:
    cut = np.quantile(history.ts, _TRAINED)
    recent = history.ts >= cut
    turn = (history.ts // turn_seconds + history.ts // _DAY) % 2 == 0
    return Split(
        history.where(~recent), history.where(recent & turn), history.where(recent & ~turn)
    )


def _cadence(columns: Columns) -> float:
    """Find how many seconds lie between two intervals of the entity that has most."""
    if not len(columns["ts"]):
        return 60.0
    names, counts = np.unique(columns["entity"], return_counts=True)
    own = columns["ts"][columns["entity"] == names[counts.argmax()]]
    apart = np.diff(np.unique(own))
    return float(np.median(apart)) if apart.size else 60.0


def _refuse_short(columns: Columns, cadence: float) -> None:
    """Refuse by the intervals in which all that is required was measured."""
    there = np.ones(len(columns["ts"]), dtype=np.bool_)
    for choice in TAIL.required:
        any_of = [_measured(columns[name]) for name in choice if name in columns]
        there &= np.asarray(np.any(any_of, axis=0), np.bool_)
    entities = len(np.unique(columns["entity"][there]))
    TAIL.refuse_short(int(there.sum()), cadence, entities)


def _measured(values: FloatArray) -> BoolArray:
    rows = np.isfinite(values).reshape(len(values), -1)
    finite: BoolArray = np.all(rows, axis=1)
    return finite


def _refuse_small(split: Split, least: int) -> None:
    for name, part in split._asdict().items():
        if part.ts.size < least:
            raise TrainingDataError(
                f"there are {part.ts.size} intervals of history for {name}, and "
                f"{least} are needed: give some weeks of telemetry beyond the "
                f"{TRAILING_DAYS} days for baselines"
            )
