"""A source is followed live first, then backwards, and goes on where the store says."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from deployments.telemetry.followed import (
    FIRST_CHUNK,
    SETTLED_SECONDS,
    SHORTEST_PAUSE,
    Followed,
    Stretch,
)
from features.errors import SourceAwayError, SourceRefusedError
from features.sources.breaker import FAILURES, Breaker
from features.sources.source import Complaint, Gathered
from features.telemetry.columns import Telemetry

DAY, NOW = 86_400, 1_800_000_030.0
CADENCE = 60


class Measured:
    """A source that has a value for every interval since `begins`, but where it fails."""

    cadence_seconds = CADENCE
    settling_seconds = 0.0

    def __init__(self, begins: int) -> None:
        self.begins = begins
        self.asked: list[tuple[int, int]] = []
        self.trouble: Exception | None = None
        self.until: int | None = None
        self.complaint: tuple[Complaint, ...] = ()
        self.refuses: Callable[[int], bool] = lambda _: False

    async def range(self, start: int, stop: int) -> Gathered:
        self.asked.append((start, stop))
        if self.trouble is not None:
            raise self.trouble
        if any(self.refuses(ts) for ts in range(start, stop, CADENCE)):
            raise SourceRefusedError("prom", "it gives more than 10000 entities")
        ts = np.arange(max(start, self.begins), stop, CADENCE, dtype=np.int64)
        if self.until is not None:
            ts = ts[ts < self.until]
        return Gathered(rows(ts), self.complaint, self.until)

    async def oldest(self) -> int | None:
        return self.begins

    async def close(self) -> None: ...


def rows(ts: np.ndarray) -> Telemetry:
    count = len(ts)
    values = {
        name: np.full((count, 8) if name == "exemplars" else count, math.nan)
        for name, column in Telemetry.empty().columns().items()
        if column.dtype.kind == "f"
    }
    return Telemetry(
        ts=ts,
        entity=np.full(count, "shop"),
        session=np.full(count, ""),
        incident=np.full(count, ""),
        regime=np.zeros(count, dtype=np.int8),
        deploy=np.zeros(count, dtype=np.int8),
        **values,
    )


class Kept:
    """What a store would hold."""

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.newest_first: list[bool] = []
        self.answers = 0
        self.failures: list[tuple[str, str]] = []

    async def stretch(self) -> Stretch:
        return Stretch(min(self.ts), max(self.ts)) if self.ts else Stretch()

    async def take_in(self, gathered: Gathered, *, newest: bool) -> None:
        self.ts += gathered.telemetry.ts.tolist()
        self.newest_first.append(newest)

    async def answered(self) -> None:
        self.answers += 1

    async def failed(self, reason: str, breaker: Breaker) -> None:
        self.failures.append((reason, breaker.state))


class World:
    def __init__(self, begins: float, days: int = 30) -> None:
        self.now = NOW
        self.source = Measured(int(begins) // CADENCE * CADENCE)
        self.kept = Kept()
        self.followed = self.begin(days)

    def begin(self, days: int = 30, *, passes_over: bool = True) -> Followed:
        """Begin anew, as after a restart: only what was kept is remembered."""
        self.followed = Followed(
            "prom",
            self.source,
            self.kept,
            Breaker(lambda: self.now, lambda: 1.0),
            history_days=days,
            passes_over=passes_over,
            wall=lambda: self.now,
        )
        return self.followed

    async def run(self, until: Callable[[], bool] = lambda: False) -> None:
        while await self.followed.step() and not until():
            pass


@pytest.fixture
def world() -> World:
    return World(begins=NOW - 3 * DAY)


def whole(world: World) -> list[int]:
    last = int(world.now - 2) // CADENCE * CADENCE
    return list(range(world.source.begins, last, CADENCE))


async def test_the_newest_interval_comes_first_and_then_all_of_the_past(world: World) -> None:
    await world.run()
    assert world.source.asked[0] == (int(NOW) // 60 * 60 - 60, int(NOW) // 60 * 60)
    assert sorted(world.kept.ts) == whole(world)
    assert world.kept.newest_first == [True] + [False] * (len(world.kept.newest_first) - 1)
    assert world.followed.past_share == 1.0


async def test_no_more_of_the_past_is_fetched_than_is_wanted() -> None:
    world = World(begins=NOW - 3 * DAY, days=1)
    await world.run()
    assert min(world.kept.ts) >= NOW - DAY
    assert min(world.kept.ts) < NOW - DAY + CADENCE


async def test_a_restart_anywhere_loses_and_doubles_nothing(world: World) -> None:
    for _ in range(200):
        await world.followed.step()
        world.begin()
    assert sorted(world.kept.ts) == whole(world)


async def test_what_passed_meanwhile_is_fetched_after_an_outage(world: World) -> None:
    await world.run()
    world.source.trouble = SourceAwayError("prom", "connection refused")
    for _ in range(10):
        world.now += CADENCE
        assert not await world.followed.step()
    assert "connection refused" in world.followed.trouble
    world.source.trouble = None
    world.now += DAY
    await world.run()
    assert sorted(world.kept.ts) == whole(world)
    assert world.followed.trouble == ""


async def test_a_source_that_is_away_is_spared(world: World) -> None:
    world.source.trouble = SourceAwayError("prom", "no route")
    for _ in range(20):
        await world.followed.step()
    assert len(world.source.asked) == FAILURES
    assert world.followed.attempted
    assert [state for _, state in world.kept.failures] == ["closed"] * (FAILURES - 1) + ["open"]


async def test_a_source_that_refuses_is_asked_seldom(world: World) -> None:
    world.source.trouble = SourceRefusedError("prom", "401")
    await world.followed.step()
    assert world.followed.refused
    assert world.followed.pause_seconds() == 60
    world.source.trouble = None
    await world.followed.step()
    assert not world.followed.refused


async def test_what_may_still_come_is_asked_for_again(world: World) -> None:
    await world.run()
    world.now += 3 * CADENCE
    world.source.until = whole(world)[-2]
    await world.run()
    world.source.until = None
    await world.run()
    assert sorted(world.kept.ts) == whole(world)


async def test_an_interval_that_is_not_over_is_not_asked_for(world: World) -> None:
    world.now = 1_800_000_061.0  # a second after it: not settled
    await world.run()
    assert max(world.kept.ts) == 1_800_000_000 - CADENCE
    world.now += 2
    await world.run()
    assert max(world.kept.ts) == 1_800_000_000


@pytest.mark.parametrize("settling", [0.0, 5.0, 59.0, 130.0])
@pytest.mark.parametrize("begun", [1_800_000_000.0, 1_800_000_007.3, 1_800_000_058.9])
async def test_an_interval_is_asked_for_at_the_moment_at_which_it_may(
    world: World, settling: float, begun: float
) -> None:
    world.source.settling_seconds, world.now = settling, begun
    world.begin()
    for _ in range(60):
        await world.run()
        known, pause = len(world.kept.ts), world.followed.pause_seconds()
        assert 0 < pause <= CADENCE / 4
        world.now += pause
        await world.run()
        if len(world.kept.ts) > known:
            over = max(world.kept.ts) + CADENCE
            assert 0 <= world.now - over - max(settling, SETTLED_SECONDS) <= 2 * SHORTEST_PAUSE


async def test_a_clock_that_was_ahead_silences_nothing_once_it_is_right(world: World) -> None:
    right = world.now
    world.now += DAY
    await world.run()
    world.now = right
    for _ in range(3):
        world.now += CADENCE
        asked = len(world.source.asked)
        await world.run()
        last = int(world.now - 2) // CADENCE * CADENCE
        assert (last - CADENCE, last) in world.source.asked[asked:]
    world.begin()  # what was stored ahead is still there
    world.now += CADENCE
    await world.run()
    assert world.source.asked[-1][1] == int(world.now - 2) // CADENCE * CADENCE


async def test_complaints_are_added_up(world: World) -> None:
    world.source.complaint = (Complaint("gap", 2, "shop at 12:00"),)
    await world.followed.step()
    await world.followed.step()
    assert world.followed.complaints == (Complaint("gap", 4, "shop at 12:00"),)


async def test_pieces_are_of_so_many_intervals(world: World) -> None:
    await world.run()
    spans = [(stop - start) // CADENCE for start, stop in world.source.asked[1:-1]]
    assert spans[0] == FIRST_CHUNK
    assert spans[1] == 4 * FIRST_CHUNK


async def test_intervals_that_are_refused_are_passed_over_once_later_ones_are_answered(
    world: World,
) -> None:
    await world.run()
    lost = [int(NOW) // 60 * 60 + n * CADENCE for n in (400, 401)]
    world.source.refuses = lambda ts: ts in lost
    world.now += 1_000 * CADENCE
    for _ in range(2):
        await world.run()
        assert world.followed.refused
        assert "10000 entities" in world.followed.trouble
        assert max(world.kept.ts) == lost[0] - CADENCE
    await world.run()
    assert not world.followed.refused
    assert world.source.asked.count((lost[0], lost[0] + CADENCE)) == 3
    assert sorted(world.kept.ts) == sorted(set(whole(world)) - set(lost))
    (complaint,) = world.followed.complaints
    assert (complaint.fault, complaint.count) == ("gap", 2)
    assert "2027-01-15T14:40:00Z" in complaint.example
    assert "10000 entities" in complaint.example


async def test_the_past_goes_on_behind_an_interval_that_is_refused(world: World) -> None:
    lost = world.source.begins + 1_000 * CADENCE
    world.source.refuses = lambda ts: ts == lost
    for _ in range(10):
        await world.run()
    assert sorted(world.kept.ts) == [ts for ts in whole(world) if ts != lost]
    assert world.followed.past_share == 1.0
    assert [each.count for each in world.followed.complaints] == [1]


async def test_a_source_that_refuses_every_interval_keeps_saying_so(world: World) -> None:
    await world.run()
    world.source.refuses = lambda ts: ts > NOW
    before = max(world.kept.ts)
    for _ in range(20):
        world.now += CADENCE
        await world.run()
        assert world.followed.refused or world.now < NOW + 2 * CADENCE
    assert world.followed.complaints == ()
    assert max(world.kept.ts) == before + CADENCE
    world.source.refuses = lambda _: False
    await world.run()
    assert sorted(world.kept.ts) == whole(world)


async def test_one_that_remembers_what_it_gave_is_not_asked_for_a_later_interval(
    world: World,
) -> None:
    await world.run()
    world.begin(passes_over=False)
    world.source.refuses = lambda ts: ts == int(NOW) // 60 * 60 + CADENCE
    world.now += 10 * CADENCE
    asked = len(world.source.asked)
    for _ in range(5):
        await world.run()
    assert set(world.source.asked[asked:]) == {
        (max(world.kept.ts) + CADENCE, int(world.now) // 60 * 60)
    }
    assert world.followed.refused
