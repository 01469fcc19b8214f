"""Observations that are one an interval: each interval once, and what is left out is counted."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deployments.anomaly.operations import ObserveNumbers
from deployments.anomaly.order import Position, take

CADENCE = 60
_intervals = st.lists(st.integers(0, 40), max_size=12, unique=True).map(sorted)


def asked(intervals: list[int]) -> ObserveNumbers:
    ts = [float(CADENCE * each) for each in intervals]
    return {
        "op": "observe",
        "values": [float(each) for each in intervals],
        "ts": ts,
        "cadence": CADENCE,
    }


@given(st.lists(_intervals, max_size=6))
def test_each_interval_is_taken_once_whatever_is_sent_again(bodies: list[list[int]]) -> None:
    position = Position(None, None)
    taken, missing, sent = list[float](), 0, 0
    for body in bodies:
        found: Any = take(position, asked(body), 0.0)
        position = Position(found.sequence, found.ts)
        taken += found.values
        missing += found.missing
        sent += len(body)
        assert found.late == 0
        assert len(found.values) + found.duplicates == len(body)
    assert taken == sorted(set(taken))
    if taken:
        assert missing == taken[-1] - taken[0] + 1 - len(taken)


def test_a_cadence_that_changes_loses_nothing() -> None:
    first = take(Position(None, None), asked([0, 1]), 0.0)
    faster: ObserveNumbers = {
        "op": "observe",
        "values": [1.0, 2.0],
        "ts": [75.0, 90.0],
        "cadence": 15,
    }
    found = take(Position(first.sequence, first.ts), faster, 0.0)
    assert (found.values, found.missing) == ([1.0, 2.0], 0)
