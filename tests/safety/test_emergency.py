import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.drift import BINS, Drift, stability_index
from safety.emergency import (
    LONGEST_SECONDS,
    Counts,
    CriticalRule,
    EmergencyRules,
    ErrorRule,
    Tallies,
    Tally,
    first_broken,
    tallies,
)

RULES = EmergencyRules(
    critical=CriticalRule(count=10, seconds=5),
    errors=ErrorRule(share=0.5, seconds=10, least_rows=20),
)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=40))
def test_a_window_has_what_was_noted_in_its_seconds(noted: list[tuple[int, int]]) -> None:
    counts = Counts()
    for second, rows in sorted(noted):
        counts.note(Tally(rows, rows // 2, rows // 3), float(second))
    for seconds in (1.0, 5.0, 60.0):
        within = [rows for second, rows in noted if second >= 40 - seconds]
        assert counts.within(seconds, 40.0) == Tally(
            sum(within), sum(rows // 2 for rows in within), sum(rows // 3 for rows in within)
        )
    latest = max((second for second, _ in noted), default=0)
    assert not noted or not counts.are_over(latest + LONGEST_SECONDS)
    assert counts.are_over(latest + LONGEST_SECONDS + 1)
    assert counts.within(LONGEST_SECONDS, latest + LONGEST_SECONDS + 1) == Tally()


def test_what_several_replicas_counted_adds_up() -> None:
    each = Tallies(critical=Tally(100, 6, 0))
    assert first_broken(RULES, [each]) is None
    found = first_broken(RULES, [each, each])
    assert found is not None
    assert (found.rule, "12 rows" in found.reason) == ("critical", True)
    assert first_broken(EmergencyRules(), [each, each]) is None


@pytest.mark.parametrize(
    ("rows", "unanswered", "broken"), [(19, 19, False), (20, 9, False), (20, 10, True)]
)
def test_a_share_of_errors_counts_from_so_many_rows_on(
    rows: int, unanswered: int, broken: bool
) -> None:
    found = first_broken(RULES, [Tallies(errors=Tally(rows, 0, unanswered))])
    assert (found is not None) is broken
    if found is not None:
        assert found.rule == "errors"


def test_each_rule_counts_over_its_own_seconds() -> None:
    counts = Counts()
    counts.note(Tally(30, 10, 20), 100.0)
    counts.note(Tally(1, 1, 1), 108.0)
    found = tallies(RULES, counts, 109.0)
    assert found == Tallies(critical=Tally(1, 1, 1), errors=Tally(31, 11, 21))
    lately = tallies(RULES, counts, 109.0, most_seconds=1.0)
    assert lately == Tallies(critical=Tally(1, 1, 1), errors=Tally(1, 1, 1))


def noted(drift: Drift, values: np.ndarray, since: float) -> float:
    for second, part in enumerate(np.array_split(values, 20)):
        drift.note(part, since + second)
    return since + 20


def test_the_same_spread_is_no_drift_and_another_one_is() -> None:
    random = np.random.default_rng(5)
    drift = Drift(least_rows=1000, seconds=30)
    assert drift.score(0.0) is None
    now = noted(drift, random.normal(100, 10, 1200), 0.0)
    assert drift.score(now) is None  # nothing to compare yet
    now = noted(drift, random.normal(100, 10, 4000), 40.0)
    score = drift.score(now)
    assert score is not None
    assert score < 0.1
    now = noted(drift, random.normal(115, 10, 4000), 100.0)
    score = drift.score(now)
    assert score is not None
    assert score > 0.25
    assert drift.score(now + 1000) is None  # what came last is over
    drift.note(np.array([np.nan, np.inf]), now)
    drift.clear()
    assert drift.score(now) is None


def test_the_index_is_the_one_of_the_books() -> None:
    p, q = np.full(BINS, 10.0), np.array([20.0, 0.0, *[10.0] * 8])
    share = q / q.sum()
    share[1] = 1e-4
    by_hand = sum((a - 0.1) * np.log(a / 0.1) for a in share)
    assert stability_index(q, p) == pytest.approx(by_hand)
    assert stability_index(p, p) == 0
