import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.errors import LateError, OverloadedError
from deployments.gateway.lanes.lane import MOST_LONG_REQUESTS, Lane, LaneLimits
from deployments.gateway.large_requests.turns import Turns
from tests.waiting import PATIENCE_SECONDS, until


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
    slice_rows: int = 64,
) -> Lane[int, int]:
    limits = LaneLimits(cap, in_flight, waiting, slice_rows)
    return Lane(carrier.send, limits, clock or Clock())


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


async def test_an_earlier_deadline_behind_a_later_one_is_kept(  # as after a change of request_ms
) -> None:
    lane = lane_of(Carrier(), in_flight=3)
    hanging = [lane.ask([1], 1e6), lane.ask([2], 1e5)]
    for seconds in (0.02, 0.01):
        with pytest.raises(OverloadedError, match="deadline"):
            await lane.ask([3], seconds)
    assert not any(each.done() for each in hanging)
    for each in hanging:
        each.cancel()


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


async def test_a_long_request_travels_in_slices_and_short_ones_do_not_wait_for_it() -> None:
    carrier = Carrier()
    lane = lane_of(carrier, cap=4, slice_rows=4)
    long = lane.ask(range(100, 110), 1e6, "bulk")
    short = lane.ask([1], 1e6, "bulk")
    await asyncio.sleep(0)
    assert carrier.batches == [[100, 101, 102, 103], [1]]
    assert (lane.batches_in_flight, lane.waiting_rows) == (2, 0)
    carrier.gate.set()
    assert await short == [2]
    assert list(await long) == [2 * row for row in range(100, 110)]
    assert [len(batch) for batch in carrier.batches] == [4, 1, 4, 2]


class Resting(Turns):
    """Rests for as long as the test says, and notes what it was asked."""

    def __init__(self, seconds: float, last: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.last = last
        self.asked: list[tuple[float, int, float]] = []

    def rest_s(self, spent_s: float, parts_left: int = 0, time_left_s: float = 0.0) -> float:
        self.asked.append((spent_s, parts_left, time_left_s))
        return self.seconds if parts_left else self.last


async def test_a_long_request_rests_between_slices_and_short_ones_do_not_wait() -> None:
    carrier, clock, turns = Carrier(), Clock(), Resting(3600.0)
    lane = Lane(carrier.send, LaneLimits(64, 1, 100, 4), clock, turns)
    long = lane.ask(range(10), 50.0, "bulk")
    await asyncio.sleep(0)
    clock.now = 2.0
    carrier.gate.set()
    await until(lambda: bool(turns.asked))
    assert turns.asked == [(2.0, 2, 48.0)]
    assert await lane.ask([1], 50.0, "other") == [2]
    assert [len(batch) for batch in carrier.batches] == [4, 1]
    assert not long.done()


async def test_the_rest_after_the_last_slice_delays_no_answer() -> None:
    carrier = Carrier()
    carrier.gate.set()
    lane = Lane(carrier.send, LaneLimits(64, 1, 100, 4), Clock(), Resting(0.0, last=3600.0))
    assert len(await lane.ask(range(8), 50.0)) == 8
    assert lane.batches_in_flight == 1


async def test_the_earliest_deadline_of_all_that_wait_bounds_the_rest() -> None:
    carrier, turns = Carrier(), Resting(0.0)
    lane = Lane(carrier.send, LaneLimits(64, 1, 100, 4), Clock(), turns)
    kept = [lane.ask(range(8), deadline, owner) for deadline, owner in ((90.0, "a"), (30.0, "b"))]
    carrier.gate.set()
    await asyncio.gather(*kept)
    # Slices left, and the time to the deadline of whoever waits then; at last nobody does.
    assert [asked[1:] for asked in turns.asked] == [(3, 30.0), (2, 30.0), (1, 30.0), (0, 0.0)]


async def test_long_requests_of_several_owners_take_turns_slice_by_slice() -> None:
    carrier = Carrier()
    lane = lane_of(carrier, slice_rows=2)
    kept = [
        lane.ask(range(at, at + 4), 1e6, owner) for at, owner in ((10, "a"), (20, "a"), (30, "b"))
    ]
    carrier.gate.set()
    await asyncio.gather(*kept)
    assert [batch[0] for batch in carrier.batches] == [10, 20, 30, 12, 32, 22]


async def test_owners_take_turns_for_a_place_in_the_batch() -> None:
    carrier = Carrier()
    lane = lane_of(carrier, cap=4)
    first = lane.ask([0], 1e6, "a")
    await asyncio.sleep(0)
    crowd = [lane.ask([row], 1e6, "a") for row in range(1, 9)]
    late = lane.ask([100], 1e6, "b")
    carrier.gate.set()
    await asyncio.gather(first, *crowd, late)
    assert carrier.batches[1] == [1, 100, 2, 3]


async def test_who_fills_the_lane_is_refused_and_the_others_are_not() -> None:
    carrier = Carrier()
    lane = lane_of(carrier, waiting=6)
    kept = [lane.ask([row], 1e6, "greedy") for row in range(7)]
    with pytest.raises(OverloadedError):
        lane.ask([7], 1e6, "greedy")
    kept += [lane.ask([row], 1e6, "modest") for row in range(3)]
    with pytest.raises(OverloadedError):
        lane.ask([3], 1e6, "modest")
    carrier.gate.set()
    await asyncio.gather(*kept)


async def test_long_requests_are_bounded_too() -> None:
    carrier = Carrier()
    lane = lane_of(carrier, slice_rows=2)
    # One has its first slice in flight, the others wait.
    kept = [lane.ask(range(3), 1e6, "a") for _ in range(1 + MOST_LONG_REQUESTS)]
    with pytest.raises(OverloadedError, match="8 requests of more than 2 rows"):
        lane.ask(range(3), 1e6, "a")
    assert not lane.ask([1], 1e6, "a").done()
    carrier.gate.set()
    await asyncio.gather(*kept)


async def test_what_was_answered_of_a_long_request_is_kept_when_a_slice_fails() -> None:
    async def send(rows: list[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        if rows[0] >= 4:
            raise ConnectionError("the replica is gone")
        return rows

    lane: Lane[int, int] = Lane(send, LaneLimits(4, 1, 100, slice_rows=2), Clock())
    found = await lane.ask(range(7), 1e6)
    assert found[:4] == [0, 1, 2, 3]
    assert [type(each) for each in found[4:]] == [ConnectionError] * 3
    with pytest.raises(ConnectionError):
        await lane.ask(range(4, 9), 1e6)


async def test_a_long_request_that_is_late_keeps_what_was_answered_in_time() -> None:
    calls = 0

    async def send(rows: list[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls > 1:
            await asyncio.sleep(60)
        return rows

    lane: Lane[int, int] = Lane(send, LaneLimits(4, 1, 100, slice_rows=2), Clock())
    found = await lane.ask(range(5), 0.5)
    assert found[:2] == [0, 1]
    assert [type(each) for each in found[2:]] == [LateError] * 3


async def test_rows_of_two_versions_never_share_a_batch_and_keep_their_order() -> None:
    carrier = Carrier()
    lane = lane_of(carrier)
    versions = [1, 1, 1, 2, 2, 1, 2]
    answers = [lane.ask([row], 1.0, version=of) for row, of in enumerate(versions)]
    carrier.gate.set()
    await asyncio.gather(*answers)
    assert carrier.batches == [[0], [1, 2], [3, 4], [5], [6]]


async def test_a_candidates_rows_wait_beside_and_cut_no_batch_short() -> None:
    carrier = Carrier()
    lane = lane_of(carrier)
    versions = [1, 1, 2, 1, 2, 2, 1]
    answers = [
        lane.ask([row], 1.0, version=of, queue_number=2 * (of == 2))
        for row, of in enumerate(versions)
    ]
    assert lane.waiting_rows == 6
    carrier.gate.set()
    assert await asyncio.gather(*answers) == [[2 * row] for row in range(7)]
    assert carrier.batches == [[0], [1, 3, 6], [2, 4, 5]]


async def test_the_bound_is_one_for_both_and_an_owner_has_its_share_of_it() -> None:
    lane = lane_of(Carrier(), waiting=10)
    lane.ask([0], 1.0)  # in flight
    for number in (0, 2):
        lane.ask(range(5), 1.0, "a", queue_number=number)
    with pytest.raises(OverloadedError):
        lane.ask([1], 1.0, "a", queue_number=2)
    lane.ask(range(5), 1.0, "b", queue_number=3)
    with pytest.raises(OverloadedError):
        lane.ask([1], 1.0, "b")


async def test_late_rows_of_one_version_keep_those_of_another_from_nothing() -> None:
    carrier = Carrier()
    lane = lane_of(carrier)
    answers = [lane.ask([row], 1e6, version=row, queue_number=2 * (row == 2)) for row in range(3)]
    answers[1].cancel()
    carrier.gate.set()
    assert [await answers[0], await answers[2]] == [[0], [4]]


async def test_beside_a_slow_batch_the_other_slot_is_used_as_if_it_were_the_only_one() -> None:
    batches, hanging = list[list[int]](), asyncio.Event()

    async def send(rows: list[int]) -> Sequence[int]:
        batches.append(rows)
        await (hanging.wait() if rows == [0] else asyncio.sleep(0))
        return rows

    limits = LaneLimits(64, 2, 100, rows_beside_another=16, slow_s=0.01)
    lane: Lane[int, int] = Lane(send, limits, Clock())
    slow = lane.ask([0], 1e6)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await lane.ask([1], 1e6) == [1]  # goes once the first one is slow
        lane.limits = replace(limits, slow_s=1e6)
        for row in range(2, 6):
            assert await lane.ask([row], 1e6) == [row]
        await until(lambda: lane.batches_in_flight == 1)
        await asyncio.gather(*(lane.ask([row], 1e6) for row in range(6, 9)))
    assert batches == [[0], [1], [2], [3], [4], [5], [6], [7, 8]]
    hanging.set()
    await slow


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 3), st.sampled_from("ab")),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 16),
    st.integers(1, 4),
)
def test_no_batch_has_rows_of_two_versions_whatever_comes(
    asked: list[tuple[int, int, str]], cap: int, in_flight: int
) -> None:
    batches: list[list[tuple[int, int]]] = []

    async def send(rows: list[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        batches.append(rows)
        await asyncio.sleep(0)
        return rows

    async def drive() -> None:
        limits = LaneLimits(cap, in_flight, 10_000, slice_rows=5)
        lane: Lane[tuple[int, int], tuple[int, int]] = Lane(send, limits, Clock())
        bodies = [[(version, at)] * size for at, (size, version, _) in enumerate(asked)]
        answers = [
            lane.ask(body, 1.0, owner, version)
            for body, (_, version, owner) in zip(bodies, asked, strict=True)
        ]
        assert [list(await answer) for answer in answers] == bodies

    asyncio.run(drive())
    assert all(len({version for version, _ in rows}) == 1 for rows in batches)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 16), st.integers(1, 4))
def test_every_row_gets_its_own_answer_whatever_the_sizes(
    sizes: list[int], cap: int, in_flight: int
) -> None:
    async def drive() -> None:
        async def send(rows: list[int]) -> Sequence[int]:
            await asyncio.sleep(0)
            return [-row for row in rows]

        lane: Lane[int, int] = Lane(send, LaneLimits(cap, in_flight, 10_000, slice_rows=5), Clock())
        start, answers = 0, []
        for size in sizes:
            answers.append((range(start, start + size), lane.ask(range(start, start + size), 1.0)))
            start += size
        for rows, answer in answers:
            assert list(await answer) == [-row for row in rows]
        await lane.drain()
        assert lane.waiting_rows == lane.batches_in_flight == 0

    asyncio.run(drive())
