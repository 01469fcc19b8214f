"""What becomes of the hours that were forecast, by a clock that a test moves."""

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from redis.asyncio import Redis
from scipy.signal import lfilter

import deployments.history.client
import deployments.runtime.replica
from deployments.forecasting import pending_forecasts
from deployments.forecasting.kept_hours import Ends
from deployments.forecasting.loaded_models import LoadedModels
from deployments.forecasting.past import past_of
from deployments.forecasting.pending_forecasts import outcome_of
from deployments.forecasting.service import (
    HOUR,
    READ_AGAIN_SECONDS,
    SETTLED_SECONDS,
    ForecastService,
    Plans,
)
from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from deployments.runtime.coverage.offsets_table import key_of, offsets_key
from deployments.runtime.replica import Replica
from deployments.runtime.state.log import KeyLog
from models.pointer import _file
from tests.redis_server import RedisServer

CHAMPION = Plans("forecasting/ensemble", "champion")
CHALLENGER = Plans("forecasting/ensemble", "challenger")
BEGIN = 490_000 * HOUR
ENTITIES = ("auth", "orders")


class Clocks:
    """Stand at a time that a test moves on."""

    def __init__(self) -> None:
        self.now = float(BEGIN + 600)

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class History:
    """Answer as the history actor: the hours that are over, or nothing while it is away."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self.away = False
        self.spread = 0.0
        self.resting = ""
        self.lasting = False
        self.late = self.empty = False
        self.late_hours = 0
        self.behind = 0.0
        self.asked = 0

    async def ask(self, *_: object) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise HistoryAwayError("away")
        if self.empty:
            return {}
        start = BEGIN - 14 * 24 * HOUR
        rate = 100.0 + np.arange((int(self._clocks.now - self.behind) - start) // HOUR) % 24
        draw = np.random.default_rng(1).normal(size=1_000)
        rate[14 * 24 :] *= np.exp(self.spread * draw[: len(rate) - 14 * 24])
        if self.lasting:
            draw = 0.1 * np.random.default_rng(2).normal(size=1_000)[: len(rate)]
            rate *= np.exp(lfilter([1.0], [1.0, -0.95], draw))
        if late := self.late or self.late_hours:
            rate[-late:] = np.nan
        rates = dict.fromkeys(ENTITIES, rate)
        if self.resting:
            rates[self.resting] = np.where(np.arange(len(rate)) % 24 < 7, rate, 0.0)
        return {
            each: {"start": start, "rate": rate, "exchange": "XNYS"} for each, rate in rates.items()
        }


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def past(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> History:
    found = History(clocks)
    monkeypatch.setattr(deployments.history.client, "ask", found.ask)
    return found


@pytest.fixture
async def service(
    redis_server: RedisServer,
    past: History,  # noqa: ARG001 - it is asked
    clocks: Clocks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ForecastService]:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setattr(
        deployments.runtime.replica, "write_logs", lambda *_: None
    )  # pytest keeps them
    replica = Replica("forecasting")
    replica.clocks = clocks  # type: ignore[assignment] # one that can be moved
    service = ForecastService(replica)
    yield service
    await service.close()
    await replica.close()


async def outcomes(service: ForecastService) -> list[int]:
    """Tell how many hours of each entity were counted."""
    await service.online.refresh()
    return [0 if each is None else each["outcomes"] for each in service.online.records(ENTITIES)]


async def hours_that_pass(service: ForecastService, clocks: Clocks, hours: int) -> None:
    for _ in range(hours):
        await service.look(["champion"], CHAMPION)
        clocks.now += HOUR


async def test_each_hour_is_an_outcome_once_it_is_over(
    service: ForecastService, clocks: Clocks
) -> None:
    for counted in (0, 0, 1, 2, 3):
        await service.look(["champion"], CHAMPION)
        await service.look(["champion"], CHAMPION)
        assert await outcomes(service) == [counted, counted]
        clocks.now += HOUR


async def test_hours_count_by_the_intervals_that_clients_were_given(
    service: ForecastService, clocks: Clocks, past: History
) -> None:
    """Once these are wide enough they hold, though what the model itself predicted would not."""
    past.spread = 1.0
    held = []
    for _ in range(62):
        await service.look(["champion"], CHAMPION)
        (told, _) = service.online.records(ENTITIES)
        told = told or {"coverage": 0.0, "outcomes": 0, "offset": 0.0}
        held.append(told["coverage"] * told["outcomes"])
        clocks.now += HOUR
    assert held[10] == 0.0  # before there are outcomes enough to widen them by
    assert held[-1] - held[-41] >= 32


async def test_a_service_that_rests_at_night_takes_no_hour_from_the_others(
    service: ForecastService, clocks: Clocks, past: History
) -> None:
    """Both its interval and its rate are zero then, which no factor changes."""
    past.spread, past.resting = 0.1, "auth"
    for hour in range(72):
        await service.look(["champion"], CHAMPION)
        assert await outcomes(service) == [max(hour - 1, 0)] * 2
        clocks.now += HOUR
    assert float(service.online.offsets(["auth"])[0]) < 1.0


async def test_an_offset_that_an_earlier_release_left_takes_no_hour(
    service: ForecastService, clocks: Clocks, redis: Redis
) -> None:
    await redis.hset(
        offsets_key(redis),
        key_of("capacity", "auth"),
        b'{"outcomes":0,"coverage":null,"offset":3720.0}',
    )
    for _ in range(3):
        await service.look(["champion"], CHAMPION)
        clocks.now += HOUR
    assert await outcomes(service) == [1, 1]


async def test_what_is_wrong_with_one_entity_takes_no_hour_from_the_others(
    service: ForecastService, clocks: Clocks
) -> None:
    await service.look(["champion"], CHAMPION)
    clocks.now += 2 * HOUR
    past = past_of(await deployments.history.client.ask(Questions.hours, 14))
    past["auth"] = past["auth"]._replace(start=None)  # type: ignore[arg-type] # it is to fail
    await service.next_hour.settle(past, BEGIN // HOUR + 2)
    assert await outcomes(service) == [0, 1]


async def test_a_replica_that_begins_anew_goes_on_with_the_hours_of_the_one_before(
    service: ForecastService, clocks: Clocks
) -> None:
    for counted in (0, 0, 1, 2, 3):
        await service.look(["champion"], CHAMPION)
        assert await outcomes(service) == [counted, counted]
        await service.close()
        service = ForecastService(service._replica)
        clocks.now += HOUR
    await service.close()


@pytest.mark.parametrize("kept", [b"{", b'{"auth": [1.0, 2.0, 3.0, 4.0]}', b"[]"])
async def test_hours_that_another_release_kept_stop_no_others(
    service: ForecastService, clocks: Clocks, redis: Redis, kept: bytes
) -> None:
    name, old, fresh = "ballast:forecasts:foretold", str(BEGIN - 60 * HOUR), str(BEGIN - HOUR)
    await redis.hset(name, mapping={old: kept, fresh: kept, "?": kept})
    for counted in (0, 0, 1, 2):
        await service.look(["champion"], CHAMPION)
        assert await outcomes(service) == [counted, counted]
        clocks.now += HOUR
    assert not await redis.hexists(name, old)
    assert await redis.hget(name, fresh) == kept


async def test_an_hour_is_held_against_what_a_client_got_by_the_rate_before_it(
    service: ForecastService, clocks: Clocks, past: History
) -> None:
    """Where surprises last its errors are a fraction of what the forecaster's own interval is."""
    past.lasting = True
    await hours_that_pass(service, clocks, 40)
    assert await outcomes(service) == [38, 38]
    (told, _) = service.online.records(ENTITIES)
    assert told is not None
    assert told["coverage"] > 0.7
    assert told["offset"] < -0.1


def test_an_outcome_is_of_the_interval_as_it_was_corrected() -> None:
    ends = Ends(lower=80.0, upper=120.0, offset=0.1, expected=100.0, left=0.5)
    found = outcome_of(ends, then=400.0, truth=200.0)
    assert found == pytest.approx({"lower": 160, "truth": 200, "upper": 240, "offset": 0.1})
    for then, expected in ((math.nan, 100.0), (0.0, 100.0), (400.0, math.nan)):
        found = outcome_of(ends._replace(expected=expected), then, truth=200.0)
        assert (found["lower"], found["upper"]) == (80.0, 120.0)


async def test_hours_count_as_forecast_a_day_ahead_too(
    service: ForecastService, clocks: Clocks
) -> None:
    await hours_that_pass(service, clocks, 28)
    assert await outcomes(service) == [26, 26]
    day = [each and each["outcomes"] for each in service.online.last.records(ENTITIES)]
    assert day == [3, 3]


async def test_a_replica_that_begins_anew_holds_hours_against_the_same(
    service: ForecastService, clocks: Clocks, past: History, redis: Redis
) -> None:
    past.lasting = True
    await hours_that_pass(service, clocks, 30)
    before = (
        await redis.hgetall("ballast:forecasts:foretold"),
        await redis.hgetall("ballast:forecasts:foretold-corrections"),
    )
    kept = service.next_hour._waiting
    again = ForecastService(service._replica)
    await again.next_hour._restore()
    assert again.next_hour._waiting == kept
    assert any(each.left > 0.5 for each in kept.values())
    await again.close()
    assert before[0].keys() == before[1].keys()


async def test_the_release_before_reads_what_is_kept_and_is_read(
    service: ForecastService, clocks: Clocks, redis: Redis
) -> None:
    """It keeps three numbers of an entity's hour, and hours with others it does not read."""
    await service.look(["champion"], CHAMPION)
    kept = await redis.hgetall("ballast:forecasts:foretold")
    for each in kept.values():
        assert {len(ends) for ends in orjson.loads(each).values()} == {3}
    await redis.delete("ballast:forecasts:foretold-corrections")
    again = ForecastService(service._replica)
    clocks.now += 2 * HOUR
    await again.look(["champion"], CHAMPION)
    assert await outcomes(again) == [1, 1]
    await again.close()


@pytest.mark.parametrize("what", ["late", "empty"])
async def test_an_hour_whose_truth_is_late_is_counted_then(
    service: ForecastService, clocks: Clocks, past: History, what: str
) -> None:
    for counted in (0, 0, 1):
        await service.look(["champion"], CHAMPION)
        assert await outcomes(service) == [counted, counted]
        clocks.now += HOUR
    setattr(past, what, True)
    await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [1, 1]
    setattr(past, what, False)
    clocks.now += HOUR
    await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [3, 3]


async def test_an_empty_answer_of_the_history_is_asked_for_again_within_the_hour(
    service: ForecastService, clocks: Clocks, past: History
) -> None:
    for empty in (False, False, True, False):
        past.empty = empty
        await service.look(["champion"], CHAMPION)
        clocks.now += READ_AGAIN_SECONDS if empty else HOUR
    assert await outcomes(service) == [1, 1]


async def test_hours_that_wait_for_too_long_are_given_up_for_all_entities_alike(
    service: ForecastService,
    clocks: Clocks,
    past: History,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(pending_forecasts, "MOST_HOURS", 3)
    past.late_hours = 10
    for _ in range(8):
        await service.look(["champion"], CHAMPION)
        clocks.now += HOUR
    past.late_hours = 0
    await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [2, 2]
    assert "2 hours were dropped" in caplog.text


async def test_an_hour_of_a_state_that_cannot_be_read_waits(
    service: ForecastService, clocks: Clocks, redis: Redis
) -> None:
    for _ in range(3):
        await service.look(["champion"], CHAMPION)
        clocks.now += HOUR
    await service._outcomes.close()  # writes snapshots
    service._outcomes._service.cache.drop(key_of("capacity", "auth"))
    snapshot = KeyLog(redis, "coverage")._snapshot(key_of("capacity", "auth"))
    saved = await redis.hget(snapshot, "s")
    assert saved is not None
    await redis.hset(snapshot, "s", b"\x05\x00\x00\x00other release")
    await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [1, 2]
    await redis.hset(snapshot, "s", saved)
    clocks.now += HOUR
    await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [3, 3]


async def test_a_history_whose_clock_is_behind_loses_no_hour(
    service: ForecastService, clocks: Clocks, past: History
) -> None:
    past.behind = SETTLED_SECONDS + 10.0
    await service.look(["champion"], CHAMPION)
    for counted in (0, 1, 2):
        clocks.now = clocks.now // HOUR * HOUR + HOUR + SETTLED_SECONDS + 1.0
        for _ in range(2):
            await service.look(["champion"], CHAMPION)
            clocks.now += READ_AGAIN_SECONDS
        assert await outcomes(service) == [counted, counted]
        table = (await service.of("champion")).table
        assert table.ahead("auth", "ensemble").start == clocks.now // HOUR * HOUR + HOUR


async def test_a_damaged_pointer_of_another_alias_takes_no_hour(
    service: ForecastService, clocks: Clocks
) -> None:
    for name in ("forecasting/prophet", "forecasting/ensemble"):
        pointer = _file(service._replica.settings.paths.models, name, "canary")
        pointer.parent.mkdir(parents=True)
        pointer.write_bytes(b"")
    for counted in (0, 0, 1, 2):
        await service.look(["canary", "champion"], CHAMPION)
        assert await outcomes(service) == [counted, counted]
        clocks.now += HOUR
    canary = (await service.of("canary")).table.ahead("auth", "ensemble")
    assert canary.passed_over["ensemble"] == "it cannot be loaded: ArtifactError"


async def test_an_alias_that_cannot_be_followed_takes_no_hour_and_is_reported(
    service: ForecastService, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = LoadedModels.look

    def fail_for_one(models: LoadedModels) -> bool:
        if models.chosen == "canary":
            raise ValueError(models.chosen)
        return look(models)

    monkeypatch.setattr(LoadedModels, "look", fail_for_one)
    for counted in (0, 0, 1, 2):
        with pytest.raises(ValueError, match="canary"):
            await service.look(["canary", "champion"], CHAMPION)
        assert await outcomes(service) == [counted, counted]
        clocks.now += HOUR


async def test_an_hour_that_ends_between_two_aliases_is_not_lost(
    service: ForecastService, clocks: Clocks, past: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    aliases = ["champion", "challenger"]
    await service.look(aliases, CHAMPION)
    clocks.now += HOUR
    await service.look(aliases, CHAMPION)
    clocks.now = BEGIN + 2 * HOUR + SETTLED_SECONDS - 1.0
    look = LoadedModels.look

    def look_as_the_hour_ends(models: LoadedModels) -> bool:
        clocks.now = BEGIN + 2 * HOUR + SETTLED_SECONDS + 1.0
        return look(models)

    monkeypatch.setattr(LoadedModels, "look", look_as_the_hour_ends)
    for _ in range(2):
        await service.look(aliases, CHAMPION)
    assert await outcomes(service) == [1, 1]
    assert past.asked == 3
    for each in aliases:
        forecasts = await service.of(each)
        assert forecasts.table.ahead("auth", "ensemble").start == BEGIN + 3 * HOUR


async def test_an_hour_in_which_another_alias_takes_over_is_not_lost(
    service: ForecastService, clocks: Clocks
) -> None:
    await service.look(["champion"], CHAMPION)
    clocks.now += HOUR
    await service.look(["champion", "challenger"], CHALLENGER)
    clocks.now += HOUR
    await service.look(["challenger"], CHALLENGER)
    assert await outcomes(service) == [1, 1]


async def test_a_board_that_is_made_anew_before_the_hour_has_settled_loses_none(
    service: ForecastService, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.look(["champion"], CHAMPION)
    with monkeypatch.context() as changed:
        changed.setattr(LoadedModels, "look", lambda _: True)
        clocks.now = BEGIN + HOUR + SETTLED_SECONDS / 2
        await service.look(["champion"], CHAMPION)
    for later in (1, 2, 3):
        clocks.now = BEGIN + later * HOUR + 600.0
        await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [2, 2]


async def test_hours_that_end_while_the_history_is_away_are_told_when_it_is_back(
    service: ForecastService, clocks: Clocks, past: History
) -> None:
    await service.look(["champion"], CHAMPION)
    past.away = True
    for _ in range(2):
        clocks.now += HOUR
        await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [0, 0]
    past.away = False
    await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [1, 1]
    table = (await service.of("champion")).table
    assert table.ahead("auth", "ensemble").start == BEGIN + 3 * HOUR


async def test_hours_that_end_while_redis_is_away_are_told_when_it_is_back(
    service: ForecastService, clocks: Clocks, redis_server: RedisServer, redis: Redis
) -> None:
    for _ in range(2):
        await service.look(["champion"], CHAMPION)
        clocks.now += HOUR
    redis_server.kill()
    await service.look(["champion"], CHAMPION)
    redis_server.start()
    await redis.ping()
    for _ in ENTITIES:
        await service.look(["champion"], CHAMPION)
    assert await outcomes(service) == [1, 1]
