"""Candles are followed as any source is: the same numbers give the same features as a push."""

from collections.abc import Iterator, Sequence

import numpy as np
import orjson
import pytest

from config_store.sources import CandlesSource
from features.telemetry.intake import Intake
from features.telemetry.source_states import SourceState, read_states
from observability.timeline.store import read as read_events
from tests.candle_server import CandleServer, candle, upstream
from tests.deployments.telemetry.running import (
    MINUTE,
    POSTED,
    Running,
    measured_twice,
    posted,
)
from tests.waiting import eventually

COIN = "BTC-USD"


@pytest.fixture
def server() -> Iterator[CandleServer]:
    with upstream({COIN: []}) as found:
        yield found


def config(server: CandleServer, field: str = "volume", times: float = 1.0) -> CandlesSource:
    rule = {"kind": "per_second", "field": field, "times": times}
    return CandlesSource.model_validate(
        {
            "url": server.url,
            "symbols": [COIN],
            "mapping": {"names": {"trades": "trades"}, "metrics": {"request_rate": rule}},
            "lateness_seconds": 0,
            "history_days": 1,
        }
    )


async def test_candles_and_a_push_give_the_same_features_to_the_bit(
    running: Running, server: CandleServer
) -> None:
    async def measure(minutes: Sequence[int]) -> None:
        """Trade in the market, and post the same."""
        traded = {ts: ts % 97 * 7.0 + 60.0 for ts in minutes}
        server.candles[COIN] += [candle(ts, traded=volume) for ts, volume in traded.items()]
        rows = [
            {"entity": POSTED, "ts": ts, "request_rate": each / 60} for ts, each in traded.items()
        ]
        await Intake(running.redis).add("push", posted(orjson.dumps(rows), running.now))

    by_candles, by_push = await measured_twice(running, measure, COIN, market=config(server))
    assert np.isfinite(by_candles).sum() > 5
    assert by_candles.tobytes() == by_push.tobytes()


def go_on(running: Running, seconds: float) -> None:
    """Let time pass, and have the source looked at now: its loop sleeps by another clock."""
    running.now += seconds
    running.service._running.following["market"].wake.set()


async def state_of(running: Running) -> SourceState | None:
    states = await read_states(running.redis)
    found = () if states is None else states.states
    return next((each for each in found if each.name == "market"), None)


async def test_an_upstream_that_is_away_is_said_to_be_and_leaves_no_gap(
    running: Running, server: CandleServer
) -> None:
    now = int(running.now) // MINUTE * MINUTE
    server.candles[COIN] += [candle(now + MINUTE * at) for at in range(-30, 30)]
    await running.activate(market=config(server))
    await eventually(lambda: running.present() == {"market": 30})
    server.end()
    go_on(running, 5 * MINUTE)

    async def is_in(state: str) -> bool:
        found = await state_of(running)
        return found is not None and found.state == state

    await eventually(lambda: is_in("away"))
    server.start()
    go_on(running, MINUTE)
    await eventually(lambda: running.present() == {"market": 36})
    await eventually(lambda: is_in("live"))


async def test_a_mapping_that_is_wrong_by_far_is_held_back(
    running: Running, server: CandleServer
) -> None:
    """Volumes in place of trades are ten times as many."""
    now = int(running.now) // MINUTE * MINUTE
    server.candles[COIN] += [candle(now + MINUTE * at) for at in range(-120, 30)]
    await running.activate(market=config(server, "trades"))
    await eventually(lambda: running.present() == {"market": 120})
    await running.activate(market=config(server, "volume"))

    async def is_held_back() -> bool:
        found = await state_of(running)
        held = None if found is None else found.held_back
        return held is not None and held.refused

    await eventually(is_held_back)
    go_on(running, MINUTE)
    await eventually(lambda: running.present() == {"market": 121})
    rates = running.store.columns(
        "SELECT DISTINCT request_rate FROM measurements WHERE source = 'market'", {}
    )
    assert rates["request_rate"].tolist() == [pytest.approx(0.2)]
    # Tenths of it are the same again, and are followed.
    await running.activate(market=config(server, "volume", 0.1))
    await eventually(lambda: read_events(running.store, 10, kinds=["publication_accepted"]).events)
