"""What is proposed for an upstream follows from what it answers, however it names things."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from features.errors import NothingUsableError, SourceRefusedError
from features.sources.candles.api import CandleApi
from features.sources.candles.proposal import propose
from features.sources.candles.rules import CandleNames, PerSecond, Question
from features.sources.candles.source import Market
from features.sources.http.connection import Limits
from tests.candle_server import Candle, CandleServer, candle, upstream

MINUTE = 60
START = 1_700_000_040
NOW = START + 100 * MINUTE + 7.0
QUICK = Limits(attempts=1)
MARKET = Market(("A",), MINUTE, 5, 500)


def minutes(count: int = 100) -> list[Candle]:
    return [candle(START + MINUTE * each) for each in range(count)]


@asynccontextmanager
async def asking(server: CandleServer) -> AsyncIterator[CandleApi]:
    api = CandleApi("market", server.url, random=lambda: 0.5, limits=QUICK)
    yield api
    await api.close()


async def test_the_plainest_upstream_is_understood_without_a_word() -> None:
    with upstream({"A": minutes(), "B": minutes()}) as server:
        async with asking(server) as api:
            found = await propose(api, Market((), MINUTE, 5, 500), NOW)
    assert found.symbols == ("A", "B")
    assert found.mapping.asked == Question()
    assert found.mapping.names == CandleNames(trades="trades")
    assert found.mapping.metrics == {"request_rate": PerSecond(field="trades")}
    assert found.newest == START + 99 * MINUTE
    assert len(found.sample.telemetry) == 20
    assert found.sample.complaints == ()


def as_bars(rows: list[Candle]) -> bytes:
    short = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    bars: list[dict[str, Any]] = []
    for each in rows:
        at = datetime.fromtimestamp(each["ts"], UTC).isoformat()
        bars.append({"t": at} | {brief: each[name] for name, brief in short.items()})
    return json.dumps({"bars": bars, "next": None}).encode()


async def test_other_names_and_parameters_are_found_out() -> None:
    names = ("symbol", "timeframe", "start", "end", "limit")
    with upstream({"A": minutes()}, answer=as_bars, names=names) as server:
        async with asking(server) as api:
            found = await propose(api, MARKET, NOW)
    assert (found.mapping.asked.start, found.mapping.asked.stop) == ("start", "end")
    assert (found.mapping.names.rows, found.mapping.names.time_unit) == ("bars", "iso")
    assert found.mapping.names.trades is None
    assert found.mapping.metrics == {"request_rate": PerSecond(field="volume")}
    assert len(found.sample.telemetry) == 10


async def test_of_a_market_that_is_closed_the_last_candles_are_found() -> None:
    with upstream({"A": minutes(10)}) as server:
        async with asking(server) as api:
            found = await propose(api, MARKET, NOW)
    assert found.newest == START + 9 * MINUTE


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"answer": lambda _: b"<html>"}, "no JSON"),
        ({"answer": lambda _: b'{"error": "busy"}'}, "no list of candles, but 'error'"),
        ({"answer": lambda _: b'{"candles": [[1, 2]]}'}, "no object with named members"),
        (
            {"answer": lambda _: b'{"candles": [{"ts": 1, "open": 1, "prize": 2}]}'},
            "'ts', 'open', 'prize', and none of these is known to be high, low, close, volume",
        ),
        ({"answer": lambda _: b'{"candles": []}'}, "no candle of A among the newest 500"),
    ],
)
async def test_what_cannot_be_understood_is_said(more: dict[str, Any], said: str) -> None:
    with upstream({"A": minutes()}, **more) as server:
        async with asking(server) as api:
            with pytest.raises(NothingUsableError, match=said):
                await propose(api, MARKET, NOW)


async def test_symbols_must_be_named_where_nobody_lists_them() -> None:
    with upstream({"A": minutes()}, listed=False) as server:
        async with asking(server) as api:
            with pytest.raises(NothingUsableError, match="--symbol"):
                await propose(api, Market((), MINUTE, 5, 500), NOW)


async def test_a_refusal_is_told_as_the_upstream_says_it() -> None:
    with upstream({"A": minutes()}) as server:
        async with asking(server) as api:
            with pytest.raises(SourceRefusedError, match="no symbol Z"):
                await propose(api, Market(("Z",), MINUTE, 5, 500), NOW)
