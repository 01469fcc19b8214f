import math
import time
import timeit
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.arrays import FloatArray
from safety.checker import Checker
from safety.errors import BatchShapeError
from safety.limits import LEVELS, Level
from safety.policy import FamilyPolicy
from safety.tail import LONGEST_MS, QUANTILES, tail_policy

Columns = dict[str, FloatArray]
Healthy = Callable[..., Columns]

POLICY = tail_policy()
CHECKER = Checker(POLICY)
FIELDS = POLICY.inputs + POLICY.outputs
INF, NAN = math.inf, math.nan

# Values on and around every limit of the policy, so that random rows are often nearly right.
TELLING = st.sampled_from(
    [
        *(0.0, -0.0, 1e-300, 0.05, 0.1, 0.5, 1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 40.0, 250.0, -1.0),
        *(LONGEST_MS, math.nextafter(1, 2), math.nextafter(LONGEST_MS, INF)),
        *(1e308, -1e308, INF, -INF, NAN),
    ]
)
ROW = st.fixed_dictionaries({field: TELLING | st.floats(0, 300) for field in FIELDS})


def columns_of(rows: list[dict[str, float]]) -> Columns:
    return {field: np.array([row[field] for row in rows]) for field in FIELDS}


def judge(row: dict[str, float]) -> Level:
    """Judge one row in plain Python, straight from the policy: the second implementation."""
    worst = [Level.SAFE]
    worst += [Level.CRITICAL for f in POLICY.outputs if not math.isfinite(row[f])]
    worst += [POLICY.missing_input for f in POLICY.inputs if not math.isfinite(row[f])]
    for limit in POLICY.all_ranges():
        value = row[limit.field]
        under = limit.low is not None and (
            value <= limit.low if limit.above_low else value < limit.low
        )
        # An open side still ends at the largest number.
        over = value > limit.high if limit.high is not None else value == INF
        worst += [limit.level] if under or over or (limit.low is None and value == -INF) else []
    for relation in POLICY.all_relations():
        ceiling = relation.factor * row[relation.greater] + relation.margin
        worst += [] if row[relation.lesser] <= ceiling else [relation.level]
    for width in POLICY.widths:
        widest = width.max_relative * max(abs(row[width.prediction]), width.floor)
        worst += [] if row[width.upper] - row[width.lower] <= widest else [width.level]
    return max(worst, key=LEVELS.index)


@given(st.lists(ROW, max_size=8))
def test_it_judges_as_plain_python_does(rows: list[dict[str, float]]) -> None:
    verdicts = CHECKER.check(columns_of(rows), len(rows))
    assert [verdicts.level(row) for row in range(len(rows))] == [judge(row) for row in rows]


@given(st.lists(ROW, min_size=1, max_size=8))
def test_a_row_is_judged_the_same_alone_and_in_company(rows: list[dict[str, float]]) -> None:
    together = CHECKER.check(columns_of(rows), len(rows))
    for at, row in enumerate(rows):
        alone = CHECKER.check(columns_of([row]), 1)
        assert alone.levels[0] == together.levels[at]
        assert alone.violations.get(0) == together.violations.get(at)


@given(st.lists(ROW, min_size=1, max_size=8))
def test_levels_violations_and_cleanliness_tell_the_same(rows: list[dict[str, float]]) -> None:
    verdicts = CHECKER.check(columns_of(rows), len(rows))
    assert (verdicts.broken is None) == (not verdicts.violations)
    for at in range(len(rows)):
        levels = [violation.level for violation in verdicts.violations.get(at, ())]
        assert verdicts.level(at) == max(levels, key=LEVELS.index, default=Level.SAFE)


def test_a_healthy_batch_is_safe(healthy: Healthy) -> None:
    verdicts = CHECKER.check(healthy(64), 64)
    assert verdicts.broken is None
    assert verdicts.levels.tolist() == [0] * 64
    assert not verdicts.violations


def test_an_empty_batch_is_safe(healthy: Healthy) -> None:
    assert CHECKER.check(healthy(0), 0).broken is None


@pytest.mark.parametrize(
    ("field", "value", "broken"),
    [
        ("load", -0.1, ("range:load", Level.UNSAFE, 0)),
        ("error_rate", 1.1, ("range:error_rate", Level.UNSAFE, 1)),
        ("active_workers", 0, ("range:active_workers", Level.UNSAFE, 1)),
        ("slo_ms", 0, ("range:slo_ms", Level.UNSAFE, 0.001)),
        ("request_rate", NAN, ("finite:request_rate", Level.WARNING, None)),
        (
            "active_workers",
            NAN,
            ("relation:autoscale_workers<=2*active_workers", Level.UNSAFE, None),
        ),
        ("p50_pred", 71, ("relation:p50_pred<=p95_pred", Level.UNSAFE, 70)),
        ("p95_pred", 131, ("relation:p95_pred<=p99_pred", Level.UNSAFE, 130)),
        ("p99_pred", 311, ("relation:p99_pred<=p999_pred", Level.UNSAFE, 310)),
        ("p999_pred", 60_001, ("range:p999_pred", Level.UNSAFE, 60_000)),
        ("lower", 201, ("relation:lower<=upper", Level.UNSAFE, 200)),
        ("upper", 481, ("width:p99_pred", Level.WARNING, 390)),
        ("upper", 1391, ("width:p99_pred", Level.UNSAFE, 1300)),
        ("breach_probability", 1.01, ("range:breach_probability", Level.CRITICAL, 1)),
        ("action", 4, ("range:action", Level.CRITICAL, 3)),
        ("autoscale_workers", 0.5, ("range:autoscale_workers", Level.UNSAFE, 1)),
        (
            "autoscale_workers",
            21,
            ("relation:autoscale_workers<=2*active_workers", Level.UNSAFE, 20),
        ),
        ("admit_fraction", 0.09, ("range:admit_fraction", Level.UNSAFE, 0.1)),
        ("admit_fraction", 0, ("range:admit_fraction", Level.CRITICAL, 5e-324)),
        ("admit_fraction", 1.01, ("range:admit_fraction", Level.CRITICAL, 1)),
        ("p99_pred", NAN, ("finite:p99_pred", Level.CRITICAL, None)),
    ],
)
def test_each_limit_is_kept(
    healthy: Healthy, field: str, value: float, broken: tuple[str, Level, float | None]
) -> None:
    verdicts = CHECKER.check(healthy(1, **{field: value}), 1)
    found = [(v.rule, v.level, v.bound) for v in verdicts.violations[0]]
    assert found.count(broken) == 1
    assert verdicts.level(0) is broken[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("p50_pred", 70),
        ("lower", 200),
        ("autoscale_workers", 20),
        ("admit_fraction", 0.1),
        ("breach_probability", 1),
        ("action", 3),
        ("upper", 480),
    ],
)
def test_the_limit_itself_is_allowed(healthy: Healthy, field: str, value: float) -> None:
    assert CHECKER.check(healthy(1, **{field: value}), 1).broken is None


@pytest.mark.parametrize("field", POLICY.outputs)
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_an_answer_that_is_no_number_is_critical(
    healthy: Healthy, field: str, value: float
) -> None:
    verdicts = CHECKER.check(healthy(1, **{field: value}), 1)
    assert verdicts.level(0) is Level.CRITICAL
    first = verdicts.violations[0][0]
    assert (first.rule, first.value, first.bound) == (f"finite:{field}", None, None)


def test_a_missing_number_is_reported_once_not_by_every_comparison(healthy: Healthy) -> None:
    assert len(CHECKER.check(healthy(1, p99_pred=NAN), 1).violations[0]) == 1


def test_only_the_rows_that_broke_something_are_listed(healthy: Healthy) -> None:
    batch = healthy(5)
    batch["p50_pred"][3] = 1000.0
    batch["load"][1] = NAN
    verdicts = CHECKER.check(batch, 5)
    assert verdicts.levels.tolist() == [0, 1, 0, 2, 0]
    assert list(verdicts.violations) == [1, 3]
    violation = verdicts.violations[3][0]
    assert (violation.field, violation.value, violation.bound) == ("p50_pred", 1000.0, 70.0)
    assert violation.message == "Quantiles may not cross."


@pytest.mark.parametrize("field", QUANTILES)
def test_a_column_that_the_model_left_out_is_critical(healthy: Healthy, field: str) -> None:
    batch = healthy(3)
    del batch[field]
    assert CHECKER.check(batch, 3).levels.tolist() == [3, 3, 3]


@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_column_of_another_length_is_refused(healthy: Healthy, length: int) -> None:
    batch = healthy(3) | {"p99_pred": np.ones(length)}
    with pytest.raises(BatchShapeError, match=f"'p99_pred' has {length} values for 3 rows"):
        CHECKER.check(batch, 3)


def test_single_precision_is_judged_as_it_is(healthy: Healthy, policy: FamilyPolicy) -> None:
    batch = {field: column.astype(np.float32) for field, column in healthy(4).items()}
    assert Checker(policy).check(batch, 4).broken is None


def test_another_policy_judges_otherwise(healthy: Healthy, policy: FamilyPolicy) -> None:
    caps = policy.caps.model_copy(update={"max_scale_factor": 1.1})
    strict = policy.model_copy(update={"caps": caps})
    assert Checker(strict).check(healthy(1), 1).broken is not None


def test_a_clean_batch_of_64_costs_less_than_60_microseconds(healthy: Healthy) -> None:
    batch = healthy(64)
    # Time of this thread, and the best of many: other programs on the machine do not count.
    timer = timeit.Timer(lambda: CHECKER.check(batch, 64), timer=time.thread_time)
    assert min(timer.repeat(number=20, repeat=200)) / 20 < 60e-6
