"""What lines add up to, held against a second way to count."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sources.logs.intervals import (
    QUANTILES,
    Key,
    Tally,
    draw_by_name,
    gathered,
    quantile,
    sample,
)
from features.sources.logs.patterns import LineRead
from features.sources.source import Gathered, Happened
from features.telemetry.columns import EXEMPLARS

AT = 1_772_461_800
LATENCIES = st.lists(st.floats(0, 1e6), max_size=60)


def line(
    latency_ms: float | None = 1.0,
    *,
    request: bool = True,
    failed: bool = False,
    deploy: bool = False,
    restart: bool = False,
    time: float = AT,
) -> LineRead:
    return LineRead("orders", time, latency_ms, request, failed, deploy, restart)


def told(*lines: LineRead, errors: bool = True) -> Gathered:
    tally = Tally()
    for each in lines:
        tally.add(each)
    return rows({("orders", AT): tally}, errors=errors)


def rows(tallies: dict[Key, Tally], *, errors: bool = True) -> Gathered:
    return gathered(tallies, cadence_seconds=60, errors=errors, now=AT + 120, draw=draw_by_name)


@given(LATENCIES, st.sampled_from(sorted(QUANTILES.values())))
def test_a_quantile_is_the_smallest_value_that_enough_do_not_exceed(
    latencies: list[float], thousandths: int
) -> None:
    found = quantile(np.sort(np.array(latencies)), thousandths)
    enough = [
        each
        for each in latencies
        if Fraction(sum(other <= each for other in latencies), len(latencies))
        >= Fraction(thousandths, 1000)
    ]
    assert found == min(enough, default=None)


def test_an_interval_has_its_rates_and_its_quantiles() -> None:
    found = told(*(line(n, failed=n > 90) for n in range(1, 101))).telemetry
    assert found.request_rate.tolist() == [100 / 60]
    assert found.error_rate.tolist() == [0.1]
    assert [found.columns()[name][0] for name in QUANTILES] == [50, 95, 99, 100]
    assert found.deploy.tolist() == [0]
    assert np.isnan(found.load).all()


def test_what_is_not_measured_is_no_zero() -> None:
    found = told(line(None), errors=False).telemetry
    assert found.request_rate.tolist() == [1 / 60]
    assert math.isnan(found.error_rate[0])
    assert math.isnan(found.p99_ms[0])
    assert np.isnan(found.exemplars).all()


def test_a_deploy_alone_is_a_row_without_a_rate() -> None:
    found = told(line(None, request=False, deploy=True)).telemetry
    assert (len(found), found.deploy[0]) == (1, 1)
    assert math.isnan(found.request_rate[0])


def test_restarts_are_one_event_an_interval_at_the_first_of_them() -> None:
    found = told(*(line(None, request=False, restart=True, time=AT + n) for n in (9, 5, 7)))
    assert found.events == (Happened("restart", AT + 5, "orders", 3),)
    assert len(found.telemetry) == 0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30, unique=True), st.randoms())
def test_exemplars_are_requests_of_the_interval_and_do_not_depend_on_the_order_of_lines(
    latencies: list[float], shuffled: object
) -> None:
    one = told(*map(line, latencies)).telemetry.exemplars[0]
    shuffled.shuffle(latencies)  # type: ignore[attr-defined] # random.Random
    again = told(*map(line, latencies)).telemetry.exemplars[0]
    assert np.array_equal(one, again, equal_nan=True)
    there = one[~np.isnan(one)].tolist()
    assert len(set(there)) == len(there) == min(len(latencies), EXEMPLARS)
    assert set(there) <= set(latencies)


def test_every_request_is_as_likely_to_be_an_exemplar() -> None:
    values, counts = np.arange(16, dtype=np.float64), np.zeros(16)
    for seed in range(2000):
        counts[sample(values, np.random.default_rng(seed)).astype(int)] += 1
    # 2000 draws of 8 of 16: the standard deviation is 22.
    assert np.abs(counts - 1000).max() < 5 * 22


def test_rows_of_many_entities_keep_their_own_exemplars() -> None:
    tallies: dict[Key, Tally] = {}
    for entity in ("quotes", "orders"):
        for ts in (AT + 60, AT):
            tally = tallies[entity, ts] = Tally()
            tally.add(line(float(len(tallies))))
    found = rows(tallies).telemetry
    for at in range(4):
        expected = tallies[str(found.entity[at]), int(found.ts[at])].latencies[0]
        assert found.p50_ms[at] == found.exemplars[at, 0] == expected


def test_what_cannot_be_true_is_left_out_and_complained_of() -> None:
    found = told(line(1e12))
    assert [each.fault for each in found.complaints] == ["out of bounds"]
    assert math.isnan(found.telemetry.p50_ms[0])


def test_nothing_is_made_of_nothing() -> None:
    assert len(rows({}).telemetry) == 0


@pytest.mark.parametrize(("one", "other"), [(("a", 60), ("b", 60)), (("a", 60), ("a", 120))])
def test_each_interval_is_drawn_by_itself(one: Key, other: Key) -> None:
    assert draw_by_name(*one).random() != draw_by_name(*other).random()
