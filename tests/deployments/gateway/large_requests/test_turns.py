import pytest

from deployments.gateway.large_requests.turns import (
    LONGEST_REST_SECONDS,
    OTHERS_SECONDS,
    REST,
    Turns,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_who_is_alone_does_not_rest() -> None:
    assert Turns(Clock()).rest_s(0.005) == 0


def test_rest_is_a_multiple_of_the_work_while_others_ask_and_ends_when_they_do() -> None:
    clock = Clock()
    turns = Turns(clock)
    turns.note_short()
    assert turns.rest_s(0.002) == pytest.approx(REST * 0.002)
    clock.now += OTHERS_SECONDS / 2
    assert turns.rest_s(0.002) == pytest.approx(REST * 0.002)
    clock.now += OTHERS_SECONDS / 2
    assert turns.rest_s(0.002) == 0


def test_a_rest_is_bounded() -> None:
    turns = Turns(Clock())
    turns.note_short()
    assert turns.rest_s(1000.0) == LONGEST_REST_SECONDS


@pytest.mark.parametrize("time_left", [0.01, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0])
@pytest.mark.parametrize("parts", [1, 63, 500])
def test_what_is_left_of_the_work_fits_into_the_time_that_is_left(
    time_left: float, parts: int
) -> None:
    turns = Turns(Clock())
    turns.note_short()
    spent = 0.004
    rest = turns.rest_s(spent, parts, time_left)
    assert 0 <= rest <= REST * spent
    if rest:
        assert parts * (spent + rest) <= time_left / 2 + 1e-9
    else:
        assert parts * spent >= time_left / 2
