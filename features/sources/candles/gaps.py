"""Candles that are missing: those of times at which the market was open."""

import numpy as np

from features.calendars.sessions import sessions_between
from features.sources.candles.answers import Candles
from features.telemetry.columns import Bools, Ints


def lacking(candles: Candles, timeframe: int, exchange: str | None) -> Ints:
    """Give when a candle should begin, between the first and the last that are there.

    A market without an exchange, as one of currencies, is open all the time.
    """
    if len(candles) < 2:  # noqa: PLR2004 - there is nothing between fewer
        return np.zeros(0, np.int64)
    expected = np.arange(candles.ts[0], candles.ts[-1], timeframe, dtype=np.int64)
    found = np.setdiff1d(expected, candles.ts, assume_unique=True)
    return found if exchange is None else found[_is_open(exchange, found)]


def _is_open(exchange: str, ts: Ints) -> Bools:
    trading = np.zeros(len(ts), np.bool_)
    if not len(ts):
        return trading
    sessions = sessions_between(exchange, int(ts[0]), int(ts[-1]) + 1)
    for at in range(len(sessions)):
        within = (ts >= sessions.opens[at]) & (ts < sessions.closes[at])
        resting = (ts >= sessions.break_starts[at]) & (ts < sessions.break_ends[at])
        trading |= within & ~resting
    return trading
