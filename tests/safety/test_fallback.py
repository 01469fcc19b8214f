import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tail.plan import ACTIONS
from safety.arrays import FloatArray
from safety.checker import Checker
from safety.fallback import Fallback, Repaired
from safety.limits import Level, Relation, Repair
from safety.policy import FamilyPolicy, Response, Responses
from safety.tail import LONGEST_MS, QUANTILES, tail_policy

Columns = dict[str, FloatArray]
Healthy = Callable[..., Columns]

POLICY = tail_policy()
CHECKER = Checker(POLICY)
FALLBACK = Fallback(POLICY, CHECKER)
FIELDS = (*POLICY.inputs, "baseline_ms", *POLICY.outputs)
INF, NAN = math.inf, math.nan

ANYTHING = st.sampled_from([0.0, 0.5, 1.0, 10.0, 1e308, -1e308, INF, -INF, NAN]) | st.floats()
PLAUSIBLE = st.floats(0, 300) | st.integers(1, 100).map(float)
ROW = st.fixed_dictionaries(dict.fromkeys(FIELDS, PLAUSIBLE | ANYTHING))


def columns_of(rows: list[dict[str, float]]) -> Columns:
    return {field: np.array([row[field] for row in rows]) for field in FIELDS}


def repair(batch: Columns, policy: FamilyPolicy = POLICY) -> Repaired:
    checker = Checker(policy)
    n = len(next(iter(batch.values())))
    return Fallback(policy, checker).repair(batch, checker.check(batch, n))


def assert_may_leave(columns: Columns, row: int) -> None:
    """Check an answer by hand against what the policy promises its clients."""
    out = {field: float(columns[field][row]) for field in POLICY.outputs}
    assert all(map(math.isfinite, out.values())), out
    quantiles = [out[field] for field in QUANTILES]
    assert quantiles == sorted(quantiles)
    assert quantiles[0] >= 0.001
    assert quantiles[-1] <= LONGEST_MS
    assert 0 <= out["lower"] <= out["upper"] <= LONGEST_MS
    assert 0 <= out["breach_probability"] <= 1
    assert 0 <= out["action"] < len(ACTIONS)
    assert 0.1 <= out["admit_fraction"] <= 1
    assert out["autoscale_workers"] >= 1
    workers = float(columns["active_workers"][row])
    if 1 <= workers <= 10_000:
        assert out["autoscale_workers"] <= 2 * workers
        assert abs(out["autoscale_workers"] - workers) <= 20
        assert out["autoscale_workers"] <= max(workers, 50)


@given(st.lists(ROW, min_size=1, max_size=6))
def test_whatever_comes_in_only_sound_answers_leave(rows: list[dict[str, float]]) -> None:
    repaired = repair(columns_of(rows))
    for row in range(len(rows)):
        assert_may_leave(dict(repaired.columns), row)


@given(st.lists(ROW, min_size=1, max_size=6))
def test_without_a_model_every_row_gets_a_sound_answer(rows: list[dict[str, float]]) -> None:
    batch = columns_of(rows)
    answer = FALLBACK.answer(batch, len(rows))
    assert set(answer) == set(POLICY.outputs)
    for row in range(len(rows)):
        assert_may_leave(batch | answer, row)


@given(st.lists(ROW, min_size=1, max_size=6))
def test_a_row_is_repaired_the_same_alone_and_in_company(rows: list[dict[str, float]]) -> None:
    together = repair(columns_of(rows))
    for at, row in enumerate(rows):
        alone = repair(columns_of([row]))
        assert (alone.fallback[0], alone.clamped[0]) == (
            together.fallback[at],
            together.clamped[at],
        )
        for field in POLICY.outputs:
            assert alone.columns[field].tobytes() == together.columns[field][at : at + 1].tobytes()


@given(st.lists(ROW, min_size=1, max_size=6))
def test_rows_that_are_not_marked_leave_bit_for_bit(rows: list[dict[str, float]]) -> None:
    batch = columns_of(rows)
    before = {field: column.copy() for field, column in batch.items()}
    repaired = repair(batch)
    kept = ~(repaired.fallback | repaired.clamped)
    for field in FIELDS:
        assert batch[field].tobytes() == before[field].tobytes(), "the batch was changed in place"
        assert repaired.columns[field][kept].tobytes() == batch[field][kept].tobytes()


def test_a_clean_batch_is_handed_on_untouched(healthy: Healthy) -> None:
    batch = healthy(8)
    repaired = repair(batch)
    assert repaired.columns is batch
    assert not repaired.fallback.any()
    assert not repaired.clamped.any()


def test_the_fallback_answers_multiples_of_the_baseline(healthy: Healthy) -> None:
    answer = FALLBACK.answer(healthy(2, baseline_ms=10.0), 2)
    assert [answer[field][1] for field in QUANTILES] == [15.0, 60.0, 120.0, 250.0]
    assert (answer["lower"][0], answer["upper"][0]) == (24.0, 300.0)
    # 120 ms is within the SLO: room is bought, nothing is shed.
    assert ACTIONS[int(answer["action"][0])] == "scale_up"
    assert (answer["admit_fraction"][0], answer["breach_probability"][0]) == (1.0, 0.5)
    assert answer["autoscale_workers"][0] == 13.0  # a quarter more than ten, in whole workers


def test_a_breach_without_a_model_pages_and_sheds_half(healthy: Healthy) -> None:
    answer = FALLBACK.answer(healthy(1, baseline_ms=30.0), 1)
    assert answer["p99_pred"][0] == 360.0
    assert ACTIONS[int(answer["action"][0])] == "page"
    assert (answer["admit_fraction"][0], answer["breach_probability"][0]) == (0.5, 0.9)


def test_an_unknown_slo_counts_as_breached(healthy: Healthy) -> None:
    answer = FALLBACK.answer(healthy(1, slo_ms=NAN), 1)
    assert ACTIONS[int(answer["action"][0])] == "page"


@pytest.mark.parametrize("baseline", [NAN, INF])
def test_an_unknown_baseline_takes_the_shipped_one(healthy: Healthy, baseline: float) -> None:
    told = FALLBACK.answer(healthy(1, baseline_ms=baseline), 1)
    assert told["p99_pred"][0] == FALLBACK.answer(healthy(1, baseline_ms=20.0), 1)["p99_pred"][0]


def test_an_absurd_input_is_not_believed(healthy: Healthy) -> None:
    # Minus five workers, doubled at most, would otherwise cap the fleet at minus ten.
    answer = FALLBACK.answer(healthy(1, active_workers=-5.0), 1)
    assert answer["autoscale_workers"][0] == 10.0


@pytest.mark.parametrize(
    ("workers", "wanted", "given"),
    [
        *((10, 50, 20), (10, 21, 20), (35, 90, 50), (100, 50, 80), (1, 9, 2)),
        # A fleet that people made large is kept; it does not grow by itself.
        *((50, 60, 50), (51, 60, 51), (100, 150, 100)),
        # An average of workers need not be whole, but an answer is, and on the safe side.
        *((5.4, 50, 10), (100.5, 50, 81)),
    ],
)
def test_workers_are_clamped_to_the_caps_and_the_rest_stands(
    healthy: Healthy, workers: float, wanted: float, given: float
) -> None:
    batch = healthy(1, active_workers=workers, autoscale_workers=wanted)
    repaired = repair(batch)
    assert repaired.columns["autoscale_workers"][0] == given
    assert (repaired.clamped[0], repaired.fallback[0]) == (True, False)
    for field in set(FIELDS) - {"autoscale_workers"}:
        assert repaired.columns[field][0] == batch[field][0]


def test_an_admission_that_sheds_too_much_is_clamped(healthy: Healthy) -> None:
    repaired = repair(healthy(1, admit_fraction=0.02))
    assert repaired.columns["admit_fraction"][0] == 0.1
    assert repaired.clamped[0]


def test_only_the_rows_that_need_it_fall_back(healthy: Healthy) -> None:
    batch = healthy(4)
    batch["p99_pred"][2] = NAN
    batch["autoscale_workers"][1] = 40.0
    repaired = repair(batch)
    assert repaired.fallback.tolist() == [False, False, True, False]
    assert repaired.clamped.tolist() == [False, True, False, False]
    assert repaired.columns["p99_pred"].tolist() == [130.0, 130.0, 240.0, 130.0]


def test_a_row_that_needs_both_is_wholly_the_fallbacks(healthy: Healthy) -> None:
    repaired = repair(healthy(1, p50_pred=NAN, autoscale_workers=500.0))
    assert (repaired.fallback[0], repaired.clamped[0]) == (True, False)
    assert repaired.columns["autoscale_workers"][0] == 13.0


def test_a_clamp_that_breaks_something_else_falls_back(
    healthy: Healthy, policy: FamilyPolicy
) -> None:
    # A fleet of at least half the request rate's hundredth: the cap makes that impossible here.
    needs_many = Relation(
        lesser="request_rate",
        greater="autoscale_workers",
        factor=40.0,
        level=Level.UNSAFE,
        message="Too few workers for the rate.",
    )
    tight = policy.model_copy(update={"relations": (*policy.relations, needs_many)})
    batch = healthy(1, autoscale_workers=30.0)
    assert repair(batch).clamped[0]
    assert repair(batch, tight).fallback[0]


def test_a_level_that_is_kept_leaves_as_it_is(healthy: Healthy, policy: FamilyPolicy) -> None:
    lenient = policy.model_copy(update={"responses": Responses(unsafe=Response.KEEP)})
    repaired = repair(healthy(1, autoscale_workers=500.0), lenient)
    assert repaired.columns["autoscale_workers"][0] == 500.0
    assert not repaired.fallback[0]
    assert not repaired.clamped[0]


def test_a_warning_may_be_configured_to_fall_back(healthy: Healthy, policy: FamilyPolicy) -> None:
    strict = policy.model_copy(update={"responses": Responses(warning=Response.SUBSTITUTE)})
    batch = healthy(1, upper=500.0)
    assert not repair(batch).fallback[0]
    assert repair(batch, strict).fallback[0]


def test_a_model_that_gave_no_columns_at_all_is_answered_for(healthy: Healthy) -> None:
    batch = {f: column for f, column in healthy(3).items() if f not in POLICY.outputs}
    repaired = repair(batch)
    assert repaired.fallback.all()
    assert set(POLICY.outputs) <= set(repaired.columns)


def test_a_clamped_lower_bound_holds_in_spite_of_rounding() -> None:
    @given(st.floats(1e-3, 1e9), st.floats(1e-3, 1e3), st.floats(-1e6, 1e6))
    def holds(lesser: float, factor: float, margin: float) -> None:
        fields = {
            "inputs": ["x"],
            "outputs": ["y"],
            "relations": [
                {
                    "lesser": "x",
                    "greater": "y",
                    "factor": factor,
                    "margin": margin,
                    "level": "unsafe",
                    "repair": Repair.CLAMP,
                    "message": "m",
                }
            ],
            "fallback": [{"kind": "constant", "field": "y", "value": -1e300}],
        }
        policy = FamilyPolicy.model_validate(fields)
        answer = Fallback(policy, Checker(policy)).answer({"x": np.array([lesser])}, 1)
        assert lesser <= factor * answer["y"][0] + margin

    holds()
