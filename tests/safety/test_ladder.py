from collections.abc import Callable

import numpy as np
import pytest

from safety.checker import Checker
from safety.fallback import Fallback
from safety.ladder import Ladder, LastAnswers
from safety.limits import Level, Range, Repair
from safety.policy import FamilyPolicy
from safety.recipes import Constant, Multiple
from safety.rungs import RUNGS, Rung, Rungs
from safety.shipped import default_policy
from tests.safety.conftest import HEALTHY, Columns

Rows = Callable[..., Columns]


def ladder_of(policy: FamilyPolicy) -> Ladder:
    return Ladder(policy, Checker(policy))


def with_rungs(policy: FamilyPolicy, **rungs: object) -> FamilyPolicy:
    return policy.model_copy(update={"rungs": Rungs.model_validate(rungs)})


def last(policy: FamilyPolicy, age: float, n: int = 1, **values: float) -> LastAnswers:
    """Make last safe answers that are all this old."""
    known = {field: HEALTHY[field] for field in (*policy.outputs, "slo_ms")} | values
    columns = {field: np.full(n, value) for field, value in known.items()}
    return LastAnswers(columns, np.full(n, age))


def rungs(found: object) -> list[Rung]:
    return [RUNGS[int(code)] for code in np.asarray(found)]


def test_the_last_safe_answer_stands_in_within_its_age_and_not_beyond(
    policy: FamilyPolicy, healthy: Rows
) -> None:
    ladder = ladder_of(with_rungs(policy, last_safe_seconds=60, same=["slo_ms"]))
    for age, rung in ((0.0, Rung.LAST_SAFE), (60.0, Rung.LAST_SAFE), (60.5, Rung.BASELINE)):
        found = ladder.answer(healthy(), 1, last(policy, age, p99_pred=131.5))
        assert rungs(found.rungs) == [rung]
        assert (found.columns["p99_pred"].tolist() == [131.5]) is (rung is Rung.LAST_SAFE)
    # Of a clock that went back nobody knows how old an answer is.
    assert rungs(ladder.answer(healthy(), 1, last(policy, -1.0)).rungs) == [Rung.BASELINE]
    assert rungs(ladder.answer(healthy(), 1, last(policy, np.nan)).rungs) == [Rung.BASELINE]
    assert rungs(ladder.answer(healthy(), 1).rungs) == [Rung.BASELINE]


def test_an_answer_about_another_objective_does_not_stand_in(
    policy: FamilyPolicy, healthy: Rows
) -> None:
    ladder = ladder_of(with_rungs(policy, last_safe_seconds=60, same=["slo_ms"]))
    about_another = healthy(slo_ms=251.0)
    assert rungs(ladder.answer(about_another, 1, last(policy, 1.0)).rungs) == [Rung.BASELINE]
    left_out = ladder.answer(healthy(slo_ms=np.nan), 1, last(policy, 1.0, slo_ms=np.nan))
    assert rungs(left_out.rungs) == [Rung.LAST_SAFE]


def test_a_last_answer_that_breaks_a_limit_now_gives_way(
    policy: FamilyPolicy, healthy: Rows
) -> None:
    """The fleet has shrunk since: so many workers are more than one step allows."""
    ladder = ladder_of(with_rungs(policy, last_safe_seconds=60, same=["slo_ms"]))
    shrunk = healthy(active_workers=2.0)
    found = ladder.answer(shrunk, 1, last(policy, 1.0, autoscale_workers=12.0))
    assert rungs(found.rungs) == [Rung.BASELINE]
    assert found.columns["autoscale_workers"][0] <= 4


def test_rows_climb_by_themselves(policy: FamilyPolicy, healthy: Rows) -> None:
    ladder = ladder_of(with_rungs(policy, last_safe_seconds=60, same=["slo_ms"]))
    rows = healthy(3)
    rows["baseline_ms"][2] = np.nan
    known = last(policy, 1.0, n=3)
    known.age_seconds[1:] = np.nan
    found = ladder.answer(rows, 3, known)
    assert rungs(found.rungs) == [Rung.LAST_SAFE, Rung.BASELINE, Rung.CONSTANT]
    for row in range(3):
        alone = {name: column[[row]] for name, column in rows.items()}
        again = ladder.answer(alone, 1, known.take(np.array([row])))
        for name, column in again.columns.items():
            assert column[0] == found.columns[name][row]


@pytest.mark.parametrize("family", default_policy().families)
def test_the_ladder_answers_as_the_recipes_do_where_nothing_else_is_known(family: str) -> None:
    policy = default_policy().family(family)
    checker = Checker(policy)
    columns = {name: np.array([1.0, np.nan, -5.0]) for name in (*policy.inputs, "baseline_ms")}
    found = Ladder(policy, checker).answer(columns, 3)
    np.testing.assert_equal(found.columns, Fallback(policy, checker).answer(columns, 3))
    assert rungs(found.rungs)[1:] == [Rung.CONSTANT] * 2


def test_without_the_baseline_rung_the_recipes_are_constants(
    policy: FamilyPolicy, healthy: Rows
) -> None:
    found = ladder_of(with_rungs(policy, baseline=False)).answer(healthy(), 1)
    assert rungs(found.rungs) == [Rung.CONSTANT]
    usual = ladder_of(policy).answer(healthy(baseline_ms=np.nan, active_workers=10.0), 1)
    assert found.columns["p99_pred"][0] == usual.columns["p99_pred"][0]


def test_a_baseline_that_breaks_a_limit_gives_way_to_the_constants() -> None:
    over = Range(
        field="y",
        high=5.0,
        level=Level.UNSAFE,
        repair=Repair.CLAMP,
        message="",
    )
    policy = FamilyPolicy(
        inputs=("x",),
        outputs=("y", "z"),
        ranges=(over,),
        relations=(),
        fallback=(
            Multiple(field="y", of="x", times=1.0, otherwise=1.0, low=0.0, high=100.0),
            Constant(field="z", value=0.0),
        ),
    )
    ladder = ladder_of(policy)
    found = ladder.answer({"x": np.array([3.0, 50.0])}, 2)
    # What may be clamped is clamped, and stays the baseline's.
    assert found.columns["y"].tolist() == [3.0, 5.0]
    assert rungs(found.rungs) == [Rung.BASELINE] * 2
    falls = over.model_copy(update={"repair": Repair.FALLBACK})
    ladder = ladder_of(policy.model_copy(update={"ranges": (falls,)}))
    found = ladder.answer({"x": np.array([3.0, 50.0])}, 2)
    assert found.columns["y"].tolist() == [3.0, 1.0]
    assert rungs(found.rungs) == [Rung.BASELINE, Rung.CONSTANT]
