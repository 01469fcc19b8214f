"""A past is fetched anew behind what is live, goes on after a death, and ends when told."""

from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.sources import PrometheusSource
from deployments.history.source_questions import BackfillAsked
from deployments.telemetry.backfills import CHANGED, NOTHING, Backfills
from deployments.telemetry.followed import Followed
from features.errors import SourceAwayError
from features.sources.breaker import Breaker
from features.telemetry.source_states import Backfill
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.timeline.store import read
from tests.deployments.telemetry.test_followed import Kept, Measured

DAY, MINUTE = 86_400, 60
NOW = 1_800_000_030.0
MAPPING = {"entity": "job", "metrics": {"load": {"kind": "gauge", "of": {"name": "load"}}}}
CONFIG = PrometheusSource.model_validate(
    {"url": "http://127.0.0.1:9", "mapping": MAPPING, "history_days": 1}
)


class World:
    """A source that is followed and fetched anew by one clock."""

    def __init__(
        self, redis: Redis, store: EmbeddedClickhouse, before: "World | None" = None
    ) -> None:
        """Begin, or go on in the place of a process that died."""
        self.redis, self.store = redis, store
        self.now: float = NOW if before is None else before.now
        self.kept: Kept = Kept() if before is None else before.kept
        self.source = Measured(int(NOW) - 10 * DAY)
        self.follow(CONFIG)

    def follow(self, config: PrometheusSource) -> None:
        self.backfills = Backfills(self.redis, self.store, lambda: self.now)
        self.followed = Followed(
            "prom",
            self.source,
            self.kept,
            Breaker(lambda: self.now, lambda: 1.0),
            history_days=1,
            afterwards=self._afterwards(config),
            wall=lambda: self.now,
        )

    def _afterwards(self, config: PrometheusSource) -> Any:
        place: Any = self.kept
        return partial(self.backfills.step, config, place, "prom")

    async def begin(self, since: float | None = None, until: float | None = None) -> str:
        asked = BackfillAsked(
            "prom",
            None if since is None else int(since),
            None if until is None else int(until),
        )
        return (await self.backfills.begin(asked, CONFIG)).refusal

    async def work(self) -> None:
        while await self.followed.step():
            continue

    async def until_under_way(self, share: float = 0.0) -> None:
        while self.shown.share <= share:
            assert await self.followed.step()

    @property
    def shown(self) -> Backfill:
        found = self.backfills.of("prom")
        assert found is not None
        return found

    def sentences(self) -> list[str]:
        kinds: Any = ["backfill_begun", "backfill_ended"]
        return sorted(each["summary"] for each in read(self.store, 10, kinds=kinds).events)


@pytest.fixture
async def world(redis: Redis, measured: EmbeddedClickhouse) -> World:
    world = World(redis, measured)
    await world.work()
    world.source.asked.clear()
    return world


async def test_all_that_was_asked_for_is_stored_once_more_the_newest_first(world: World) -> None:
    first = sorted(world.kept.ts)
    world.kept.ts.clear()
    since, until = NOW - 3 * DAY, NOW - DAY / 2
    assert await world.begin(since, until) == ""
    await world.work()
    wanted = range(-(-int(since) // MINUTE) * MINUTE, int(until) // MINUTE * MINUTE, MINUTE)
    assert sorted(world.kept.ts) == list(wanted)
    assert world.source.asked == sorted(world.source.asked, reverse=True)
    assert (world.shown.state, world.shown.share, world.shown.rows) == ("done", 1.0, len(wanted))
    assert set(first) - set(wanted), "a part was not asked for"
    begun, ended = world.sentences()
    assert f"done, {len(wanted)} rows" in ended
    assert "2027-01-12" in begun


async def test_left_out_it_is_as_much_as_was_fetched_at_first(world: World) -> None:
    first = sorted(world.kept.ts)
    world.kept.ts.clear()
    await world.begin()
    await world.work()
    assert sorted(world.kept.ts) == first


async def test_the_first_past_comes_before_it(redis: Redis, measured: EmbeddedClickhouse) -> None:
    world = World(redis, measured)
    await world.begin(NOW - 5 * DAY)
    while world.shown.state == "queued":
        assert await world.followed.step()
    assert world.followed.past_share == 1.0
    assert len(world.kept.ts) == len(set(world.kept.ts))


async def test_what_is_live_comes_before_each_piece(world: World) -> None:
    await world.begin(NOW - 5 * DAY)
    await world.until_under_way()
    while not world.shown.is_over:
        world.now += MINUTE
        world.source.asked.clear()
        await world.followed.step()
        newest = int(world.now) // MINUTE * MINUTE
        assert world.source.asked == [(newest - MINUTE, newest)]
        await world.followed.step()
    assert world.shown.state == "done"


async def test_one_that_dies_goes_on_where_it_was(world: World) -> None:
    await world.begin(NOW - 8 * DAY)
    await world.until_under_way(0.2)
    reached, rows = world.shown.reached, world.shown.rows
    after = World(world.redis, world.store, before=world)
    await after.work()
    again = [stop for start, stop in after.source.asked if stop <= NOW - DAY]
    assert max(again) == reached
    assert (after.shown.state, after.shown.since) == ("done", world.shown.since)
    assert after.shown.rows > rows
    assert set(after.kept.ts) >= set(range(int(NOW - 8 * DAY) // 60 * 60 + 60, int(NOW) - 120, 60))


async def test_a_cancelled_one_ends_where_it_is_and_another_may_begin(world: World) -> None:
    await world.begin(NOW - 8 * DAY)
    await world.until_under_way(0.1)
    assert await world.begin(NOW - 8 * DAY) == "", "the same one"
    assert "is running" in await world.begin(NOW - 7 * DAY)
    await world.backfills.cancel("prom")
    world.source.asked.clear()
    await world.work()
    assert (world.shown.state, world.source.asked) == ("cancelled", [])
    assert "cancelled" in world.sentences()[1]
    again = World(world.redis, world.store, before=world)
    await again.work()
    assert again.shown.state == "cancelled"
    assert await again.begin(NOW - 7 * DAY) == ""


async def test_by_another_mapping_it_does_not_go_on(world: World) -> None:
    await world.begin(NOW - 8 * DAY)
    await world.until_under_way(0.1)
    world.follow(CONFIG.model_copy(update={"cadence_seconds": 120}))
    await world.work()
    assert (world.shown.state, world.shown.reason) == ("failed", CHANGED)


async def test_an_interval_that_is_refused_is_passed_over(world: World) -> None:
    bad = int(NOW - 2 * DAY) // MINUTE * MINUTE
    world.source.refuses = lambda ts: ts == bad
    world.kept.ts.clear()
    await world.begin(NOW - 3 * DAY)
    await world.work()
    assert (world.shown.state, [each.fault for each in world.shown.complaints]) == ("done", ["gap"])
    assert bad not in world.kept.ts
    assert {bad - MINUTE, bad + MINUTE} <= set(world.kept.ts)


async def test_a_past_that_is_refused_fails_and_what_is_live_goes_on(world: World) -> None:
    world.source.refuses = lambda ts: ts < NOW - 2 * DAY
    await world.begin(NOW - 3 * DAY)
    await world.work()
    assert world.shown.state == "failed"
    assert "more than 10000 entities" in (world.shown.reason or "")
    assert (world.followed.refused, world.followed.trouble) == (False, "")


async def test_while_the_source_is_away_it_waits(world: World) -> None:
    await world.begin(NOW - 5 * DAY)
    await world.until_under_way()
    world.source.trouble = SourceAwayError("prom", "nobody answers")
    assert not await world.followed.step()
    assert world.shown.state == "running"
    world.source.trouble = None
    await world.work()
    ended: str = world.shown.state
    assert ended == "done"


async def test_where_there_is_nothing_it_says_so(world: World) -> None:
    await world.begin(NOW - 20 * DAY, NOW - 19 * DAY)
    await world.work()
    assert (world.shown.state, world.shown.reason) == ("done", NOTHING)


async def test_that_of_a_source_that_is_gone_is_forgotten(world: World) -> None:
    await world.begin()
    await world.backfills.keep_only(["another"])
    assert await world.backfills.cancel("prom") is None
    assert await world.begin(NOW - DAY) == ""
