"""How far back: by a server's pasts that are made up."""

from hypothesis import given
from hypothesis import strategies as st

from features.sources.prometheus.past import HOUR, WEEK, oldest

NOW = 1_700_000_040
STEP = 60
SHORT_GAP = 6 * 86_400


class Past:
    """Has something from each begin up to and without its end, and counts what it is asked."""

    def __init__(self, *known: tuple[int, int]) -> None:
        self._known = known
        self.points: list[int] = []

    async def first(self, start: int, stop: int, step: int) -> int | None:
        times = range(start, stop + 1, step)
        self.points.append(len(times))
        there = (at for at in times if any(begin <= at < end for begin, end in self._known))
        return next(there, None)


@given(st.integers(1, 500 * WEEK))
async def test_the_begin_of_a_past_is_found_to_the_step(age: int) -> None:
    past = Past((NOW - age, NOW + 1))
    found = await oldest(past.first, NOW, STEP)
    assert found is not None
    assert 0 <= found - (NOW - age) < STEP
    assert len(past.points) < 25
    assert max(past.points) <= 200


@given(st.integers(2 * WEEK, 100 * WEEK), st.integers(HOUR, SHORT_GAP), st.integers(0, 8 * WEEK))
async def test_a_gap_of_days_does_not_end_it(age: int, gap: int, since: int) -> None:
    since = min(since, age - gap - HOUR)
    gap_ends = NOW - age + HOUR + since
    past = Past((NOW - age, gap_ends), (gap_ends + gap, NOW + 1))
    found = await oldest(past.first, NOW, STEP)
    assert found is not None
    assert found - (NOW - age) < STEP


async def test_there_may_be_nothing() -> None:
    assert await oldest(Past().first, NOW, STEP) is None


async def test_what_began_and_ended_in_this_hour_is_found() -> None:
    assert await oldest(Past((NOW - 600, NOW - 300)).first, NOW, STEP) == NOW - 600
