"""When a switch was through, and what breaks a promise."""

import math

import pytest

from benchmarks.switches.load import CLIENTS, Answer, Books
from benchmarks.switches.promises import promises, quantile
from benchmarks.switches.switching import Switch, settle

EVERYBODY = range(len(CLIENTS))


def switch(before: int, after: int, asked: float, *, back: bool = False) -> Switch:
    return Switch(before, after, asked, asked + 0.01, rolled_back=back, seen=True)


def answers(version: int, came: float) -> list[Answer]:
    """Give one to each client."""
    return [Answer(client, came - 0.005, came, version) for client in EVERYBODY]


def test_a_switch_is_through_with_the_last_old_answer_and_everybody_s_first_new_one() -> None:
    late = Answer(2, 10.0, 10.3, 1)
    switches = [switch(1, 2, 10.0), switch(2, 3, 11.0), switch(3, 2, 12.0, back=True)]
    found = [*answers(1, 9.0), *answers(2, 10.2), late, *answers(3, 11.4), *answers(2, 12.1)]
    assert settle(switches, found) == []
    assert [each.settled for each in switches] == pytest.approx([0.3, 0.4, 0.1])


def test_an_answer_by_a_third_version_is_a_stranger() -> None:
    switches = [switch(1, 2, 10.0), switch(2, 3, 11.0)]
    stranger = Answer(0, 11.0, 11.1, 1)
    found = [*answers(2, 10.2), stranger, *answers(3, 11.2)]
    assert settle(switches, found) == [stranger]


def test_a_switch_that_one_client_never_saw_is_never_through() -> None:
    switches = [switch(1, 2, 10.0)]
    settle(switches, answers(2, 10.2)[1:])
    assert switches[0].settled == math.inf


def test_each_promise_can_be_broken() -> None:
    slow, back = switch(1, 2, 10.0), switch(2, 1, 20.0, back=True)
    slow.settled, slow.seen, back.settled = 1.5, False, 6.0
    books = Books(failed=["503"], split=["two"], of_others=["policy"])
    assert not any(each.kept for each in promises([slow, back], books, 1, ["x"], 1))
    slow.settled, slow.seen, back.settled = 0.2, True, 0.3
    assert all(each.kept for each in promises([slow, back], Books(), 0, [], 0))


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(at) for at in range(1, 101)], 0.99) == 99.0
    assert quantile([], 0.99) == math.inf
