"""What an upstream answers for `/candles`, read strictly: a candle that cannot be true is left out.

A candle is one thing: where one of its numbers is wrong, none of them is taken.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, get_args

import numpy as np
from pydantic_core import from_json

from features.sources.candles.rules import CandleField, CandleNames, TimeUnit
from features.sources.plain import numbers
from features.sources.source import Complaint, Faults
from features.telemetry.columns import Bools, Floats, Ints

FIELDS: tuple[CandleField, ...] = get_args(CandleField)
# Seconds by which a time is divided; ISO 8601 gives seconds.
_UNITS: Mapping[TimeUnit, float] = {"s": 1.0, "ms": 1000.0, "iso": 1.0}


@dataclass(frozen=True, slots=True)
class Candles:
    """The candles of one symbol, by the epoch seconds at which they begin, which rise."""

    symbol: str
    ts: Ints
    values: Mapping[CandleField, Floats]

    def __len__(self) -> int:
        return len(self.ts)


class Wanted(NamedTuple):
    """What was asked for: the candles that begin in [start, stop), epoch seconds."""

    symbol: str
    timeframe: int
    start: int
    stop: int


def rows_in(body: bytes, names: CandleNames) -> list[Any]:
    """Give the list of candles in an answer; ValueError or TypeError where there is none."""
    content = from_json(body, allow_inf_nan=True)
    if names.rows is not None:
        if not isinstance(content, dict):
            raise TypeError(f"it is no object with a member {names.rows!r}")
        if names.rows not in content:
            raise ValueError(f"it has no member {names.rows!r}")
        content = content[names.rows]
    if not isinstance(content, list):
        raise TypeError(f"{names.rows or 'it'} is no list of candles")
    return content


def candles_of(
    rows: Sequence[Any], names: CandleNames, wanted: Wanted, now: float
) -> tuple[Candles, tuple[Complaint, ...]]:
    """Give the candles that are right and were asked for, and what was wrong with the others."""
    faults, symbol = Faults(), wanted.symbol
    objects = [each for each in rows if isinstance(each, dict)]
    faults.add("schema", len(rows) - len(objects), f"{symbol}: a candle that is no object")
    ts = np.array([moment(each.get(names.time), names.time_unit) for each in objects], np.float64)
    right = _timed(objects, names, ts, wanted, now, faults)
    values, measured = _measured(objects, names, ts, symbol, faults)
    right &= measured & _consistent(values, ts, symbol, measured, faults)
    return _distinct(symbol, ts, values, right, faults), faults.complaints()


def moment(value: object, unit: TimeUnit) -> float:
    """Read a time as epoch seconds; NaN where it is none of its unit."""
    if unit == "iso":
        return _of_iso(value)
    number = _number(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return math.nan
    try:
        return number / _UNITS[unit]
    except OverflowError:  # an integer that no float holds
        return math.inf


def _timed(
    objects: Sequence[dict[str, Any]],
    names: CandleNames,
    ts: Floats,
    wanted: Wanted,
    now: float,
    faults: Faults,
) -> Bools:
    """Mark the candles that begin when a candle can, and when one was asked for."""
    symbol = wanted.symbol

    def said(at: int) -> str:
        return f"{symbol}: {names.time} is {_quote(objects[at].get(names.time))}"

    timed = np.isfinite(ts)
    faults.add_where("schema", ~timed, said)
    skewed = timed & (ts > now)
    faults.add_where("clock skew", skewed, lambda at: f"{said(at)} while it is {now:.0f} here")
    uneven = timed & ~skewed & (np.where(timed, ts, 0.0) % wanted.timeframe != 0)
    faults.add_where("schema", uneven, lambda at: f"{said(at)}, no whole {wanted.timeframe} s")
    kept = timed & ~skewed & ~uneven
    # Many give the candle that begins at the end too: that is how they understand "to".
    strays = kept & ((ts < wanted.start) | (ts > wanted.stop))
    faults.add_where("schema", strays, lambda at: f"{said(at)}, which was not asked for")
    asked: Bools = kept & (ts >= wanted.start) & (ts < wanted.stop)
    return asked


def _measured(
    objects: Sequence[dict[str, Any]],
    names: CandleNames,
    ts: Floats,
    symbol: str,
    faults: Faults,
) -> tuple[dict[CandleField, Floats], Bools]:
    """Read every number, and mark the candles of which all are there."""
    values: dict[CandleField, Floats] = {}
    right = np.ones(len(objects), np.bool_)
    for name in FIELDS:
        member = getattr(names, name)
        if member is None:
            values[name] = np.full(len(objects), np.nan)
            continue
        column = [_number(each.get(member)) for each in objects]
        found = numbers(column)
        said = _example(symbol, member, column, ts)
        given = found.right & ~found.missing
        faults.add_where("schema", ~given, said)
        faults.add_where("not a number", given & ~found.finite, said)
        values[name] = found.values
        right &= given & found.finite
    return values, right


def _consistent(
    values: Mapping[CandleField, Floats], ts: Floats, symbol: str, measured: Bools, faults: Faults
) -> Bools:
    """Mark the candles whose numbers can be true together."""
    low, high = values["low"], values["high"]
    inner = np.array([values["open"], values["close"]])
    wrong = measured & ((low > inner.min(axis=0)) | (high < inner.max(axis=0)))
    faults.add_where(
        "out of bounds",
        wrong,
        lambda at: f"{symbol} at {ts[at]:.0f}: open or close is not in {low[at]}..{high[at]}",
    )
    negative = measured & ~wrong & ((values["volume"] < 0) | (values["trades"] < 0))
    faults.add_where(
        "out of bounds", negative, lambda at: f"{symbol} at {ts[at]:.0f}: less than nothing traded"
    )
    consistent: Bools = ~wrong & ~negative
    return consistent


def _distinct(
    symbol: str, ts: Floats, values: Mapping[CandleField, Floats], right: Bools, faults: Faults
) -> Candles:
    """Give the candles in the order of time; of two of one moment the first that came counts."""
    which = np.flatnonzero(right)
    moments, first = np.unique(ts[which].astype(np.int64), return_index=True)
    if more := len(which) - len(moments):
        again = np.delete(which, first)
        faults.add("duplicate", more, f"{symbol} at {ts[again[0]]:.0f} is there more than once")
    kept = which[first]
    return Candles(symbol, moments, {name: column[kept] for name, column in values.items()})


def _number(value: object) -> object:
    """Read a decimal that is written as a text, as many exchanges do; leave all else."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _of_iso(value: object) -> float:
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return math.nan
    # Without a zone nobody knows which moment it is.
    return math.nan if read is None or read.tzinfo is None else read.timestamp()


def _example(
    symbol: str, member: str, column: Sequence[object], ts: Floats
) -> Callable[[int], str]:
    return lambda at: f"{symbol} at {ts[at]:.0f}: {member} is {_quote(column[at])}"


def _quote(value: object) -> str:
    return repr(value)[:80]
