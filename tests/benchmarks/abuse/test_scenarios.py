import socket

import pytest

from benchmarks.abuse.scenario import NAMES, scenario
from benchmarks.abuse.slow_clients import _open
from benchmarks.abuse.victim import Suffered, percentile


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_can_be_run_and_says_what_it_does(name: str) -> None:
    found = scenario(name)
    assert found.name == name
    assert found.about.endswith(".")
    assert callable(found.measure)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(each) for each in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == percentile(values, 1.0) == 100
    assert percentile([], 0.5) == 0


def test_what_was_not_answered_counts() -> None:
    assert Suffered([0.1] * 8, unanswered=2).answered_percent == 75
    assert Suffered([0.001, 0.002], 0).ms(0.99) == 2


def test_a_connection_is_open_until_the_other_side_hangs_up() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        assert _open(ours)
        theirs.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert _open(ours)
        theirs.close()
        assert not _open(ours)
