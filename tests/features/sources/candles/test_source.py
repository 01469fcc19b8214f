"""Candles are asked for over real HTTP, and what is wrong with an answer never becomes a number."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.telemetry.followed import Followed
from features.errors import (
    KeyRefusedError,
    SourceAwayError,
    SourceRefusedError,
    TooMuchAskedError,
)
from features.sources.breaker import FAILURES, Breaker
from features.sources.candles.api import CandleApi
from features.sources.candles.rules import CandleMapping
from features.sources.candles.source import CandleSource, Market
from features.sources.http.connection import Limits
from features.sources.source import Fault
from tests.candle_server import Candle, CandleServer, candle, upstream
from tests.deployments.telemetry.test_followed import Kept

MINUTE = 60
START = 1_700_000_040  # a whole minute
NOW = START + 60 * MINUTE
QUICK = Limits(attempts=2, pause_seconds=0.001, answer_seconds=5.0)
MAPPING: dict[str, Any] = {
    "names": {"trades": "trades"},
    "metrics": {
        "request_rate": {"kind": "per_second", "field": "volume"},
        "queue_depth": {"kind": "per_second", "field": "trades", "times": 60},
        "active_workers": {"kind": "level", "field": "close"},
    },
}


def minutes(count: int, begin: int = START) -> list[Candle]:
    return [candle(begin + MINUTE * each, traded=60.0 * (each + 1)) for each in range(count)]


class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def asking(
    server: CandleServer,
    *symbols: str,
    clock: Callable[[], float] = lambda: NOW,
    limits: Limits = QUICK,
    token_file: Path | None = None,
    mapping: dict[str, Any] = MAPPING,
    **market: Any,
) -> AsyncIterator[CandleSource]:
    api = CandleApi("market", server.url, random=lambda: 0.5, token_file=token_file, limits=limits)
    options: dict[str, Any] = {"lateness_seconds": 5, "most_candles": 500} | market
    found = Market(symbols or tuple(server.candles), MINUTE, **options)
    source = CandleSource("market", api, CandleMapping.model_validate(mapping), found, clock)
    yield source
    await source.close()


async def test_a_symbol_is_an_entity_and_its_candles_are_metrics() -> None:
    with upstream({"BTC-USD": minutes(60), "ETH-USD": minutes(60)}) as server:
        async with asking(server) as source:
            found = await source.range(START, START + 10 * MINUTE)
    rows = found.telemetry
    assert sorted(set(rows.entity.tolist())) == ["BTC-USD", "ETH-USD"]
    mine = rows.rows(rows.entity == "BTC-USD")
    assert mine.ts.tolist() == [START + MINUTE * each for each in range(10)]
    np.testing.assert_allclose(mine.request_rate, np.arange(1, 11))
    np.testing.assert_allclose(mine.queue_depth, 6 * np.arange(1, 11))
    closes = [each["close"] for each in server.candles["BTC-USD"][:10]]
    assert mine.active_workers.tolist() == closes
    assert np.isnan(mine.p99_ms).all()
    assert found.complaints == ()
    assert found.until is None
    assert server.asked[0] == {
        "symbol": "BTC-USD",
        "timeframe": "1m",
        "from": str(START),
        "to": str(START + 10 * MINUTE),
        "limit": "10",
    }


async def test_ranges_side_by_side_and_small_answers_give_what_one_gives() -> None:
    with upstream({"A": minutes(60)}, most=7, inclusive=True) as server:
        async with asking(server) as source:
            whole = (await source.range(START, START + 50 * MINUTE)).telemetry
            first = (await source.range(START, START + 17 * MINUTE)).telemetry
            second = (await source.range(START + 17 * MINUTE, START + 50 * MINUTE)).telemetry
    assert whole.ts.tolist() == [START + MINUTE * each for each in range(50)]
    for name in ("ts", "request_rate", "active_workers"):
        parts = np.concatenate([first.columns()[name], second.columns()[name]])
        np.testing.assert_array_equal(whole.columns()[name], parts)


async def test_a_candle_that_is_not_over_is_not_asked_for() -> None:
    clock = Clock()
    with upstream({"A": minutes(60)}) as server:
        async with asking(server, clock=clock) as source:
            clock.now = START + 10 * MINUTE + 4  # the tenth may be published a second later
            found = await source.range(START + 8 * MINUTE, START + 12 * MINUTE)
            assert found.telemetry.ts.tolist() == [START + 8 * MINUTE]
            assert found.until == START + 9 * MINUTE
            nothing = await source.range(START + 10 * MINUTE, START + 12 * MINUTE)
            assert (len(nothing.telemetry), nothing.until) == (0, START + 9 * MINUTE)


async def test_a_candle_that_comes_late_is_waited_for_and_a_closed_market_is_not() -> None:
    with upstream({"A": minutes(57)}) as server:
        async with asking(server) as source:
            late = await source.range(START + 55 * MINUTE, START + 59 * MINUTE)
            assert late.telemetry.ts.tolist() == [START + 55 * MINUTE, START + 56 * MINUTE]
            assert late.until == START + 57 * MINUTE
        clock = Clock()
        clock.now = NOW + 3_600
        async with asking(server, clock=clock) as source:
            closed = await source.range(START + 57 * MINUTE, START + 70 * MINUTE)
            assert (len(closed.telemetry), closed.until) == (0, None)


LIES: dict[Fault, list[tuple[str, Any]]] = {
    "schema": [
        ("no object", "candle"),
        ("volume", {"volume": None}),
        ("close", {"close": "dear"}),
        ("ts", {"ts": START + 30}),
        ("ts", {"ts": "soon"}),
        ("ts", {"ts": True}),
        ("ts", {"ts": START - MINUTE}),
    ],
    "not a number": [("close", {"close": float("nan")}), ("high", {"high": float("inf")})],
    "out of bounds": [
        ("is not in", {"low": 900.0}),
        ("is not in", {"high": 1.0}),
        ("less than nothing", {"volume": -1.0}),
    ],
    "clock skew": [("while it is", {"ts": NOW + 600})],
    "duplicate": [("more than once", {"ts": START + MINUTE})],
}


@pytest.mark.parametrize(
    ("fault", "said", "lie"),
    [(fault, said, lie) for fault, lies in LIES.items() for said, lie in lies],
)
async def test_a_lie_is_complained_of_and_all_other_candles_are_taken(
    fault: Fault, said: str, lie: Any
) -> None:
    def lying(rows: list[Candle]) -> bytes:
        spoilt: list[Any] = list(rows)
        spoilt[3] = lie if isinstance(lie, str) else rows[3] | lie
        return json.dumps({"candles": spoilt}).encode()

    with upstream({"A": minutes(10)}, answer=lying) as server:
        async with asking(server) as source:
            found = await source.range(START, START + 10 * MINUTE)
    assert found.telemetry.ts.tolist() == [START + MINUTE * each for each in range(10) if each != 3]
    by_fault = {each.fault: each for each in found.complaints}
    assert set(by_fault) == {fault, "gap"}
    assert by_fault[fault].count == 1
    assert said in by_fault[fault].example
    # A lie is never put in the place of what was true.
    np.testing.assert_allclose(found.telemetry.request_rate[1], 2.0)


async def test_missing_candles_are_a_gap_but_not_while_the_exchange_is_closed() -> None:
    friday = 1_700_254_800 - 600  # ten minutes before New York's close on 2023-11-17
    monday = 1_700_490_600  # its next open
    there = minutes(10, friday) + minutes(5, monday) + minutes(5, monday + 8 * MINUTE)
    clock = Clock()
    clock.now = monday + 3_600
    with upstream({"A": there}) as server:
        async with asking(server, clock=clock, most_candles=10_000) as always:
            found = await always.range(friday, monday + 20 * MINUTE)
        (gap,) = found.complaints
        assert (gap.fault, gap.count) == ("gap", (monday - friday) // MINUTE - 10 + 3)
        async with asking(server, clock=clock, most_candles=10_000, exchange="XNYS") as source:
            found = await source.range(friday, monday + 20 * MINUTE)
        (gap,) = found.complaints
        assert (gap.fault, gap.count) == ("gap", 3)
        assert "2023-11-20T14:35:00Z" in gap.example


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"status": 500}, SourceAwayError, "it answered 500"),
        ({"status": 503}, SourceAwayError, "it answered 503, 2 times asked"),
        ({"status": 401}, KeyRefusedError, "bearer token"),
        ({"status": 400}, SourceRefusedError, "as the test says"),
        ({"status": 413}, TooMuchAskedError, "413"),
        ({"answer": lambda _: b"<html>"}, SourceRefusedError, "not written as its mapping says"),
        ({"answer": lambda _: b"[]"}, SourceRefusedError, "no object with a member 'candles'"),
        ({"answer": lambda _: b'{"candles": 7}'}, SourceRefusedError, "no list of candles"),
    ],
)
async def test_what_the_upstream_refuses_is_said_in_a_sentence(
    more: dict[str, Any], error: type[Exception], said: str
) -> None:
    with upstream({"A": minutes(10)}, **more) as server:
        async with asking(server) as source:
            with pytest.raises(error, match=said):
                await source.range(START, START + 3 * MINUTE)


async def test_one_symbol_that_is_gone_takes_no_other_with_it() -> None:
    with upstream({"A": minutes(10)}) as server:
        async with asking(server, "A", "GONE") as source:
            found = await source.range(START, START + 3 * MINUTE)
        assert set(found.telemetry.entity.tolist()) == {"A"}
        (complaint,) = found.complaints
        assert complaint.fault == "schema"
        assert "no symbol GONE" in complaint.example
        async with asking(server, "GONE") as source:
            with pytest.raises(SourceRefusedError, match="no symbol GONE"):
                await source.range(START, START + 3 * MINUTE)


async def test_a_key_is_sent_and_never_told(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("orange-tree\n")
    with upstream({"A": minutes(10)}, token="orange-tree") as server:
        async with asking(server, token_file=file) as source:
            assert len((await source.range(START, START + 3 * MINUTE)).telemetry) == 3
            file.write_text("apple-tree\n")
            with pytest.raises(KeyRefusedError) as refused:
                await source.range(START, START + 3 * MINUTE)
    assert str(file) in str(refused.value)
    assert "apple-tree" not in str(refused.value)


async def test_decimals_as_texts_and_times_in_other_units_are_read() -> None:
    def written(rows: list[Candle]) -> bytes:
        exact = [
            {
                "T": each["ts"] * 1000,
                "o": str(each["open"]),
                "h": str(each["high"]),
                "l": str(each["low"]),
                "c": str(each["close"]),
                "v": f"{each['volume']:.3f}",
            }
            for each in rows
        ]
        return json.dumps(exact).encode()

    names = {"rows": None, "time": "T", "time_unit": "ms"}
    names |= {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    rule = {"request_rate": {"kind": "per_second", "field": "volume"}}
    with upstream({"A": minutes(10)}, answer=written) as server:
        async with asking(server, mapping={"names": names, "metrics": rule}) as source:
            found = await source.range(START, START + 10 * MINUTE)
    np.testing.assert_allclose(found.telemetry.request_rate, np.arange(1, 11))
    assert found.complaints == ()


class World:
    """An upstream that is followed by a clock of the test's."""

    def __init__(self, source: CandleSource, clock: Clock) -> None:
        self.clock = clock
        self.kept = Kept()
        self.breaker = Breaker(clock, lambda: 1.0)
        self.followed = Followed(
            "market", source, self.kept, self.breaker, history_days=1, wall=clock
        )

    async def go_to(self, moment: float) -> None:
        """Let time pass, and work as often as the platform would at least."""
        while self.clock.now < moment:
            self.clock.now = min(self.clock.now + 15, moment)
            while await self.followed.step():
                continue

    def minutes(self) -> list[int]:
        return [(ts - START) // MINUTE for ts in sorted(self.kept.ts)]


@pytest.mark.parametrize("outage", ["stopped", "slow", "broken"])
async def test_an_outage_opens_the_breaker_and_leaves_no_gap(outage: str) -> None:
    clock = Clock()
    clock.now = START + 20 * MINUTE + 6
    impatient = Limits(attempts=2, pause_seconds=0.001, answer_seconds=0.3)
    with upstream({"A": minutes(60)}) as server:
        async with asking(server, clock=clock, limits=impatient) as source:
            world = World(source, clock)
            await world.go_to(START + 20 * MINUTE + 10)
            assert world.minutes() == [*range(20)]
            match outage:
                case "stopped":
                    server.end()
                case "slow":
                    server.slow_seconds = 0.6
                case _:
                    server.status = 500
            for _ in range(FAILURES):
                clock.now += MINUTE
                assert not await world.followed.step()
            assert str(world.breaker.state) == "open"
            assert world.kept.failures[-1][1] == "open"
            asked = len(server.asked)
            clock.now += 1
            assert not await world.followed.step()  # nobody is asked now
            assert len(server.asked) == asked
            server.slow_seconds, server.status = 0.0, None
            if outage == "stopped":
                server.start()
            await world.go_to(START + 40 * MINUTE + 10)
    assert str(world.breaker.state) == "closed"
    assert world.minutes() == [*range(40)]
