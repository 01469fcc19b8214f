"""A source that does not answer is left alone for a while, ever longer, and tried by one call."""

import pytest

from features.sources.breaker import FAILURES, FIRST_SECONDS, LONGEST_SECONDS, Breaker


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker(time, lambda: 1.0)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.fail()


def test_one_lost_answer_opens_nothing(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    assert breaker.allows
    breaker.succeed()
    fail(breaker, FAILURES - 1)
    assert breaker.state == "closed"


def test_it_opens_and_lets_one_try_after_a_while(breaker: Breaker, time: Time) -> None:
    fail(breaker, FAILURES)
    assert (breaker.state, breaker.allows) == ("open", False)
    time.now = FIRST_SECONDS
    assert (breaker.state, breaker.allows) == ("half open", True)
    breaker.succeed()
    assert breaker.state == "closed"


def test_each_trial_in_vain_doubles_the_wait_up_to_a_limit(breaker: Breaker, time: Time) -> None:
    fail(breaker, FAILURES)
    waits = []
    for _ in range(6):
        began = time.now
        while not breaker.allows:
            time.now += 0.5
        waits.append(time.now - began)
        breaker.fail()
    assert waits == [5, 10, 20, 40, LONGEST_SECONDS, LONGEST_SECONDS]


def test_the_jitter_shortens_the_wait_by_half_at_most(time: Time) -> None:
    early = Breaker(time, lambda: 0.0)
    fail(early, FAILURES)
    time.now = FIRST_SECONDS / 2
    assert early.allows
    time.now = FIRST_SECONDS / 2 - 0.01
    assert not early.allows
