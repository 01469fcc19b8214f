import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed.openloop import fixed_arrivals, open_loop, percentile, poisson_arrivals

Serving = Callable[[Callable[[int], int]], AbstractContextManager[Any]]


def stall_at(number: int, seconds: float) -> Callable[[int], int]:
    def respond(turn: int) -> int:
        if turn == number:
            time.sleep(seconds)
        return 200

    return respond


def test_a_stall_counts_for_every_request_that_it_held_back(serving: Serving) -> None:
    # 200 a second for 1.5 s; at 0.5 s the server sleeps 0.5 s, in which 100 of the 300 arrive.
    with serving(stall_at(100, 0.5)) as (target, _):
        measured = open_loop(target, fixed_arrivals(200, 1.5))
    assert (measured.ok, measured.lost, measured.non_2xx) == (300, 0, 0)
    # Those 100 waited 500, 495, 490 .. 5 ms: of all 300 the fourth slowest, 485 ms, is p99.
    # A closed loop would have seen one slow request of 300 and called the 99th percentile fast.
    # On a machine that is busy with other things all are slower, and these bounds still hold.
    assert measured.p99_ms > 480
    assert measured.max_ms >= 500
    assert measured.p50_ms < measured.p99_ms / 2


def test_waiting_for_the_only_connection_counts(serving: Serving) -> None:
    # The stall of .4 s holds back 80 of 200 requests; then they leave one after the other.
    with serving(stall_at(20, 0.4)) as (target, _):
        narrow = open_loop(target, fixed_arrivals(200, 1.0), connections=1)
    assert narrow.ok == 200
    assert narrow.p99_ms > 380


def test_all_bodies_are_sent_in_turn_with_the_headers(serving: Serving) -> None:
    with serving(lambda _: 200) as (target, server):
        open_loop(target, fixed_arrivals(100, 0.04))
    assert sorted(server.received) == [
        ("k", b'{"load": 0.5}'),
        ("k", b'{"load": 0.5}'),
        ("k", b'{"load": 0.6}'),
        ("k", b'{"load": 0.6}'),
    ]


def test_refusals_are_counted_apart_from_successes(serving: Serving) -> None:
    with serving(lambda number: 503 if number % 4 == 0 else 200) as (target, _):
        measured = open_loop(target, fixed_arrivals(200, 0.2))
    assert (measured.offered, measured.ok, measured.non_2xx) == (40, 30, 10)


def test_a_request_that_was_hung_up_on_is_lost_and_the_connection_replaced(
    serving: Serving,
) -> None:
    with serving(lambda number: 0 if number == 3 else 200) as (target, _):
        measured = open_loop(target, fixed_arrivals(100, 0.2), connections=1)
    assert (measured.ok, measured.lost) == (19, 1)


def test_the_generator_keeps_its_rate(serving: Serving) -> None:
    arrivals = fixed_arrivals(200, 1.0)
    with serving(lambda _: 200) as (target, _):
        start = time.perf_counter()
        measured = open_loop(target, arrivals)
        took = time.perf_counter() - start
    assert measured.ok == 200
    # Never ahead of its schedule; and where the machine let it fall behind, it says so itself.
    assert took > 0.99
    assert took - 1.0 < (measured.max_ms + measured.late_p99_ms) / 1000 + 0.5


def test_fixed_arrivals_are_evenly_spaced() -> None:
    assert fixed_arrivals(200, 0.02) == pytest.approx([0, 0.005, 0.010, 0.015])


def test_poisson_arrivals_have_the_gaps_of_their_distribution(rng: random.Random) -> None:
    gaps = np.diff(poisson_arrivals(200, 100, rng), prepend=0.0)
    # Mean and standard deviation of an exponential gap are both 1/rate; 20,000 gaps tell 3 %.
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.min() >= 0


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=200),
    st.sampled_from([1.0, 50.0, 90.0, 99.0, 99.9, 100.0]),
)
def test_percentiles_are_those_of_numpy(values: list[float], percent: float) -> None:
    expected = np.percentile(values, percent, method="inverted_cdf")
    assert percentile(sorted(values), percent) == expected
