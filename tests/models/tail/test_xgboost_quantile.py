"""What every quantile model must keep: bits, order, silence; and what this one's answers mean."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidColumnError
from models.protocols import QuantileModel
from models.tail.plan import ACTIONS
from models.tail.xgboost_quantile import TailModel

QUANTILES = ("p50_pred", "p95_pred", "p99_pred", "p999_pred")
ROW = {
    "load": 0.6,
    "infra": 0.2,
    "request_rate": 600.0,
    "error_rate": 0.001,
    "active_workers": 8.0,
    "baseline_ms": 20.0,
    "baseline_rate": 500.0,
    "slo_ms": 80.0,
}


def one(**changes: float) -> dict[str, Any]:
    return {name: np.array([value]) for name, value in (ROW | changes).items()}


def many(column: str, values: list[float], **changes: float) -> dict[str, Any]:
    rows = {name: np.full(len(values), value) for name, value in (ROW | changes).items()}
    return rows | {column: np.array(values)}


def bits(answer: dict[str, Any]) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in answer.items()}


def test_it_is_a_quantile_model(trained: Any) -> None:
    model: QuantileModel = trained.model
    assert model.name == "tail/xgboost-quantile"


def test_a_saved_model_answers_with_the_same_bits(trained: Any, ask: Any, tmp_path: Path) -> None:
    trained.model.save(tmp_path / "tail")
    loaded = TailModel.load(tmp_path / "tail")
    assert loaded.meta == trained.model.meta
    assert bits(loaded.predict(ask(200, 1))) == bits(trained.model.predict(ask(200, 1)))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 300])
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(trained: Any, ask: Any, count: int) -> None:
    rows = ask(count, seed=count)
    together = trained.model.predict(rows)
    for index in range(count):
        alone = trained.model.predict({k: v[index : index + 1] for k, v in rows.items()})
        assert bits(alone) == bits({k: v[index : index + 1] for k, v in together.items()})


def test_the_order_of_rows_and_how_they_lie_in_memory_change_nothing(
    trained: Any, ask: Any
) -> None:
    rows = ask(64, seed=3)
    straight = trained.model.predict(rows)
    backwards = trained.model.predict({k: v[::-1] for k, v in rows.items()})
    assert bits({k: v[::-1] for k, v in backwards.items()}) == bits(straight)


def test_no_rows_get_no_answers(trained: Any, ask: Any) -> None:
    answer = trained.model.predict(ask(0, seed=1))
    assert {len(values) for values in answer.values()} == {0}


def test_predicting_leaves_no_trace(trained: Any, ask: Any, tmp_path: Path) -> None:
    rows = ask(50, seed=4)
    before = {k: v.copy() for k, v in rows.items()}
    trained.model.save(tmp_path / "before")
    first = trained.model.predict(rows)
    trained.model.predict(ask(70, seed=5))
    again = trained.model.predict(rows)
    trained.model.save(tmp_path / "after")
    assert bits(again) == bits(first)
    assert bits(rows) == bits(before)
    for file in ("booster.ubj", "meta.json"):
        kept = [(tmp_path / when / file).read_bytes() for when in ("before", "after")]
        assert kept[0] == kept[1]


def test_threads_may_share_a_model(trained: Any, ask: Any) -> None:
    batches = [ask(size, seed=size) for size in (1, 3, 17, 64, 5, 33, 128, 2)] * 10
    alone = [bits(trained.model.predict(rows)) for rows in batches]
    with ThreadPoolExecutor(8) as pool:
        assert [bits(a) for a in pool.map(trained.model.predict, batches)] == alone


def test_quantiles_never_cross(trained: Any, ask: Any) -> None:
    answer = trained.model.predict(ask(3_000, seed=6))
    shown = np.stack([answer[name] for name in QUANTILES])
    assert (np.diff(shown, axis=0) > 0).all()
    assert (answer["lower"] <= answer["upper"]).all()
    assert all(np.isfinite(values).all() for name, values in answer.items() if name != "action")


@pytest.mark.parametrize("column", ["load", "infra", "error_rate"])
@given(seed=st.integers(0, 10_000))
def test_more_pressure_never_shortens_latency(
    trained: Any, ask: Any, column: str, seed: int
) -> None:
    rows = {k: np.repeat(v, 200) for k, v in ask(1, seed).items()}
    rows[column] = np.linspace(0, 1, 200)
    answer = trained.model.predict(rows)
    for name in QUANTILES:
        assert (np.diff(answer[name]) >= 0).all()
    # A probability is read off between two quantiles, and rounds.
    assert (np.diff(answer["breach_probability"]) >= -1e-12).all()


@pytest.mark.parametrize(
    ("quantile", "beyond"),
    [("p50_pred", 0.5), ("p95_pred", 0.05), ("p99_pred", 0.01), ("p999_pred", 0.001)],
)
def test_an_objective_at_a_quantile_is_breached_as_often_as_it_says(
    trained: Any, ask: Any, quantile: str, beyond: float
) -> None:
    rows = ask(500, seed=8)
    objective = trained.model.predict(rows)[quantile]
    breach = trained.model.predict(rows | {"slo_ms": objective})["breach_probability"]
    np.testing.assert_allclose(breach, beyond, rtol=1e-6)


@given(st.lists(st.floats(1e-6, 1e9), min_size=2, max_size=50), st.floats(0, 1.5), st.floats(0, 1))
def test_a_laxer_objective_is_never_breached_more(
    trained: Any, objectives: list[float], load: float, infra: float
) -> None:
    rows = many("slo_ms", sorted(objectives), load=load, infra=infra)
    breach = trained.model.predict(rows)["breach_probability"]
    assert (np.diff(breach) <= 0).all()
    assert ((breach > 0) & (breach < 1)).all()


@given(st.lists(st.floats(0, 3), min_size=2, max_size=50), st.floats(10, 2_000), st.integers(1, 90))
def test_more_load_never_asks_for_less_help(
    trained: Any, loads: list[float], slo_ms: float, workers: int
) -> None:
    rows = many("load", sorted(loads), slo_ms=slo_ms, active_workers=workers)
    answer = trained.model.predict(rows)
    urgency = [ACTIONS.index(action) for action in answer["action"]]
    assert (np.diff(answer["autoscale_workers"]) >= 0).all()
    assert (np.diff(answer["admit_fraction"]) <= 0).all()
    assert (np.diff(urgency) >= 0).all()
    assert ((answer["admit_fraction"] > 0) & (answer["admit_fraction"] <= 1)).all()


def test_the_workers_asked_for_meet_the_objective(trained: Any, ask: Any) -> None:
    rows = ask(2_000, seed=9)
    answer = trained.model.predict(rows)
    scaled = answer["action"] == "scale_up"
    assert scaled.sum() > 50
    share = rows["active_workers"] / answer["autoscale_workers"]
    after = trained.model.predict(rows | {"load": rows["load"] * share})
    assert (after["p99_pred"] <= rows["slo_ms"] * (1 + 1e-9))[scaled].all()


def test_every_action_is_taken_by_some_row(trained: Any, ask: Any) -> None:
    assert set(trained.model.predict(ask(3_000, seed=10))["action"]) == set(ACTIONS)


def test_only_rows_unlike_the_history_are_marked(trained: Any) -> None:
    answer = trained.model.predict(many("load", [0.5, 5.0]))
    assert answer["extrapolated"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("load", -0.1),
        ("request_rate", np.nan),
        ("infra", np.inf),
        ("request_rate", -1.0),
        ("error_rate", 1.5),
        ("active_workers", 0.0),
        ("baseline_ms", 0.0),
        ("baseline_rate", 0.0),
        ("slo_ms", 0.0),
        ("slo_ms", -np.inf),
    ],
)
def test_a_bad_value_is_refused_by_column_and_row(
    trained: Any, ask: Any, column: str, value: float
) -> None:
    rows = ask(5, seed=12)
    rows[column][[1, 3]] = value
    with pytest.raises(InvalidColumnError, match=f"column '{column}': row 1 is") as refused:
        trained.model.predict(rows)
    assert (refused.value.column, refused.value.rows) == (column, (1, 3))


def test_columns_that_are_no_columns_are_refused(trained: Any) -> None:
    rows = one()
    for broken, reason in (
        ({k: v for k, v in rows.items() if k != "infra"}, "'infra': is missing"),
        (rows | {"infra": np.array([0.1, 0.2])}, "'infra': has 2 rows, but load has 1"),
        (rows | {"infra": np.array(["0.1"])}, "'infra': must be one number a row"),
        (rows | {"infra": np.array([[0.1]])}, "'infra': must be one number a row"),
    ):
        with pytest.raises(InvalidColumnError, match=reason):
            trained.model.predict(broken)
