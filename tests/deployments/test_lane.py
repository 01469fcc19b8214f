import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import OverloadedError
from deployments.gateway.lane import Lane, LaneLimits


class Carrier:
    """Answers each row with its double, when it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()

    async def send(self, rows: list[int]) -> Sequence[int]:
        self.batches.append(rows)
        await self.gate.wait()
        return [2 * row for row in rows]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lane_of(
    carrier: Carrier,
    *,
    cap: int = 64,
    in_flight: int = 1,
    waiting: int = 100,
    clock: Clock | None = None,
) -> Lane[int, int]:
    return Lane(carrier.send, LaneLimits(cap, in_flight, waiting), clock or Clock())


async def test_a_lone_request_leaves_at_once() -> None:
    carrier = Carrier()
    carrier.gate.set()
    assert await lane_of(carrier).ask([21], 1.0) == [42]
    assert carrier.batches == [[21]]


async def test_what_waits_behind_a_batch_shares_the_next_one() -> None:
    carrier = Carrier()
    lane = lane_of(carrier)
    answers = [lane.ask([row], 1.0) for row in range(10)]
    await asyncio.sleep(0)
    assert carrier.batches == [[0]]
    carrier.gate.set()
    assert [list(await answer) for answer in answers] == [[2 * row] for row in range(10)]
    assert carrier.batches == [[0], list(range(1, 10))]


async def test_no_more_batches_fly_than_allowed() -> None:
    carrier = Carrier()
    lane = lane_of(carrier, cap=1, in_flight=3)
    answers = [lane.ask([row], 1.0) for row in range(8)]
    await asyncio.sleep(0.01)
    assert len(carrier.batches) == lane.batches_in_flight == 3
    carrier.gate.set()
    await asyncio.gather(*answers)
    assert len(carrier.batches) == 8


async def test_past_the_bound_a_request_is_refused_with_a_time_to_come_back() -> None:
    carrier = Carrier()
    lane = lane_of(carrier, waiting=5)
    kept = [lane.ask([row], 1.0) for row in range(6)]
    with pytest.raises(OverloadedError) as refusal:
        lane.ask([6], 1.0)
    assert refusal.value.status == 503
    assert refusal.value.retry_after_s == 1
    carrier.gate.set()
    assert len(await asyncio.gather(*kept)) == 6


async def test_a_request_larger_than_the_cap_still_gets_through() -> None:
    carrier = Carrier()
    carrier.gate.set()
    lane = lane_of(carrier, cap=4, waiting=5)
    assert await lane.ask(range(20), 1.0) == [2 * row for row in range(20)]


async def test_who_waited_past_the_deadline_is_told_and_not_carried() -> None:
    carrier, clock = Carrier(), Clock()
    lane = lane_of(carrier, clock=clock)
    first = lane.ask([1], 1.0)
    late = lane.ask([2], 1.0)
    await asyncio.sleep(0)
    clock.now = 2.0
    carrier.gate.set()
    assert await first == [2]
    with pytest.raises(OverloadedError, match="deadline"):
        await late
    assert carrier.batches == [[1]]


async def test_a_request_in_flight_ends_with_its_own_deadline_and_its_neighbours_go_on() -> None:
    carrier, clock = Carrier(), Clock()
    lane = lane_of(carrier, clock=clock)
    ahead = lane.ask([0], 1e6)
    hasty, patient = lane.ask([1], 0.01), lane.ask([2], 1e6)
    with pytest.raises(OverloadedError, match="deadline"):
        await hasty
    carrier.gate.set()
    assert (await ahead, await patient) == ([0], [4])


async def test_who_came_too_late_is_answered_while_the_batch_before_still_hangs() -> None:
    lane = lane_of(Carrier(), clock=Clock())
    hanging = lane.ask([1], 1e6)
    with pytest.raises(OverloadedError, match="deadline"):
        await lane.ask([2], 0.01)
    assert not hanging.done()
    hanging.cancel()


async def test_a_client_that_left_is_not_carried() -> None:
    carrier = Carrier()
    lane = lane_of(carrier)
    first, gone, last = (lane.ask([row], 1.0) for row in (1, 2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    carrier.gate.set()
    await first
    assert await last == [6]
    assert carrier.batches == [[1], [3]]


async def test_a_failed_batch_fails_its_requests_and_no_other() -> None:
    calls = 0

    async def send(rows: list[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls == 1:
            raise ConnectionError("the replica is gone")
        return rows

    lane: Lane[int, int] = Lane(send, LaneLimits(64, 1, 100), Clock())
    lost, kept = lane.ask([1], 1.0), lane.ask([2], 1.0)
    with pytest.raises(ConnectionError):
        await lost
    assert await kept == [2]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 16), st.integers(1, 4))
def test_every_row_gets_its_own_answer_whatever_the_sizes(
    sizes: list[int], cap: int, in_flight: int
) -> None:
    async def drive() -> None:
        async def send(rows: list[int]) -> Sequence[int]:
            await asyncio.sleep(0)
            return [-row for row in rows]

        lane: Lane[int, int] = Lane(send, LaneLimits(cap, in_flight, 10_000), Clock())
        start, answers = 0, []
        for size in sizes:
            answers.append((range(start, start + size), lane.ask(range(start, start + size), 1.0)))
            start += size
        for rows, answer in answers:
            assert list(await answer) == [-row for row in rows]
        await lane.drain()
        assert lane.waiting_rows == lane.batches_in_flight == 0

    asyncio.run(drive())
