"""When a replica more helps, and when one less would do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.runtime.autoscaling.rule import Seen, enough, grows, rests

ONE = Seen(running=1, wanted=1, busy_cores=0.5, wait_s=0.0)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, False),
        ({"busy_cores": 0.9}, True),  # nearly a core, though nobody waits yet
        ({"busy_cores": 0.3, "wait_s": 0.2}, True),  # far from a core, and yet others wait
        ({"busy_cores": 0.05, "wait_s": 5.0}, False),  # it waits itself, as for Redis
        ({"running": 2, "wanted": 2, "busy_cores": 1.6}, False),  # together more than a core
        ({"running": 2, "wanted": 2, "busy_cores": 1.8}, True),
        ({"running": 1, "wanted": 2, "busy_cores": 1.0}, False),  # another one is on its way
        ({"running": 2, "wanted": 1, "busy_cores": 2.0}, False),  # one is on its way out
        ({"running": 0, "wanted": 0, "busy_cores": 0.0, "wait_s": 9.0}, False),
    ],
)
def test_it_grows_where_another_would_help(change: dict[str, float], wanted: bool) -> None:
    assert grows(replace(ONE, **change)) is wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"busy_cores": 0.1}, True),
        ({"busy_cores": 0.3}, False),
        ({"busy_cores": 0.1, "wait_s": 5.0}, True),  # they wait for something else
        ({"running": 1, "wanted": 1, "busy_cores": 0.0}, False),  # the last one stays
        # One that finds no place is asked for no longer, once it is not needed.
        ({"running": 1, "wanted": 2, "busy_cores": 0.1}, True),
        # Where all were killed nobody knows how much there is to do.
        ({"running": 0, "wanted": 2, "busy_cores": 0.0}, False),
    ],
)
def test_it_rests_where_one_less_would_do(change: dict[str, float], wanted: bool) -> None:
    two = replace(ONE, running=2, wanted=2)
    assert rests(replace(two, **change)) is wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("busy_cores", "wanted", "left"),
    [(0.1, 8, 1), (0.6, 8, 3), (3.0, 8, 8), (0.1, 1, 1)],
)
def test_enough_are_as_many_as_resting_leaves(busy_cores: float, wanted: int, left: int) -> None:
    assert enough(Seen(running=4, wanted=wanted, busy_cores=busy_cores, wait_s=0.0)) == left


SEEN = st.builds(
    Seen,
    running=st.integers(1, 20),
    wanted=st.integers(1, 20),
    busy_cores=st.floats(0, 20),
    wait_s=st.floats(0, 10),
)


@given(seen=SEEN)
def test_it_never_grows_and_rests_at_once(seen: Seen) -> None:
    assert not (grows(seen) and rests(seen))


@given(seen=SEEN)
def test_the_load_that_added_a_replica_does_not_take_it_away(seen: Seen) -> None:
    """Else replicas would come and go for ever under a steady load."""
    if grows(seen):
        more = seen.wanted + 1
        assert not rests(replace(seen, running=more, wanted=more))
