"""Serve's controller looks seldom while nothing is to be done, and often while something is."""

from deployments.runtime.controller_pace import (
    CALM_SECONDS,
    NODES_SECONDS,
    SETTLED_AFTER_SECONDS,
    Pace,
)
from deployments.runtime.own_cluster import MAIN_THREAD_RESTS_SECONDS

USUAL = 0.25


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_looks_seldom_once_it_has_been_calm_for_long() -> None:
    clock = Clock()
    pace = Pace(USUAL, clock)
    assert pace.rest(calm=True) == USUAL  # it has just begun: the first deployment comes soon
    clock.now += SETTLED_AFTER_SECONDS
    assert pace.rest(calm=True) == CALM_SECONDS


def test_it_looks_often_as_soon_as_there_is_something_to_do() -> None:
    clock = Clock()
    pace = Pace(USUAL, clock)
    clock.now += SETTLED_AFTER_SECONDS
    assert pace.rest(calm=False) == USUAL
    clock.now += SETTLED_AFTER_SECONDS / 2
    assert pace.rest(calm=True) == USUAL
    clock.now += SETTLED_AFTER_SECONDS / 2
    assert pace.rest(calm=True) == CALM_SECONDS


def test_a_call_to_it_waits_only_while_there_is_nothing_to_do() -> None:
    clock = Clock()
    pace = Pace(USUAL, clock)
    assert pace.main_thread_rest() == 0.0
    clock.now += SETTLED_AFTER_SECONDS
    assert pace.main_thread_rest() == MAIN_THREAD_RESTS_SECONDS
    pace.rest(calm=False)
    assert pace.main_thread_rest() == 0.0


def test_it_asks_about_the_nodes_in_each_turn_until_it_is_settled() -> None:
    clock = Clock()
    pace = Pace(USUAL, clock)
    assert [pace.nodes_are_due() for _ in range(3)] == [True] * 3
    clock.now += SETTLED_AFTER_SECONDS
    assert [pace.nodes_are_due() for _ in range(3)] == [True, False, False]
    clock.now += NODES_SECONDS
    assert pace.nodes_are_due()
    assert not pace.nodes_are_due()
    pace.rest(calm=False)
    assert pace.nodes_are_due()


def test_an_operators_longer_interval_stays() -> None:
    clock = Clock()
    pace = Pace(5.0, clock)
    clock.now += SETTLED_AFTER_SECONDS
    assert pace.rest(calm=True) == 5.0
