import math
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from deployments.runtime.batch import Columns, Prediction
from deployments.runtime.champions import Champions, Named
from deployments.runtime.transport.frame import Frame
from deployments.tail.deployment import _ORDINARY, Tail, _answer, _answerable, _numbers
from models.model_version import ModelVersion
from models.needs import TAIL
from models.tail.inputs import BOUNDS
from models.tail.plan import ACTIONS
from models.tail.xgboost_quantile import TailModel
from observability.metrics import Metrics
from safety.tail import tail_policy
from tests.deployments.tail_rows import tail_rows, taken


def bits(columns: Columns, row: int) -> dict[str, bytes]:
    return {name: column[row].tobytes() for name, column in columns.items()}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_row_is_answerable_up_to_the_bounds_of_each_column(name: str) -> None:
    low, high = BOUNDS[name]
    outside = [math.nextafter(low, -math.inf), math.nextafter(high, math.inf)]
    values = np.array([low, high, *outside, math.nan, math.inf, -math.inf])
    columns = {other: np.full(len(values), _ORDINARY) for other in BOUNDS}
    good = _answerable(columns | {name: values})
    missing = name in TAIL.can_do_without
    assert good.tolist() == [True, True, False, False, missing, False, False]


def test_the_place_of_a_refused_row_is_kept_by_one_that_is_answerable() -> None:
    assert _answerable({name: np.array([_ORDINARY]) for name in BOUNDS}).all()


def test_answers_travel_as_numbers_which_mean_what_they_meant() -> None:
    answers: Any = {
        "p99_pred": np.array([12.5, 7.0]),
        "action": np.array(["page", "none"]),
        "autoscale_workers": np.array([12, 3]),
        "extrapolated": np.array([True, False]),
    }
    found = _numbers(answers)
    assert {column.dtype for column in found.values()} == {np.dtype(np.float64)}
    assert [ACTIONS[int(code)] for code in found["action"]] == ["page", "none"]
    assert found["autoscale_workers"].tolist() == [12.0, 3.0]
    assert found["extrapolated"].tolist() == [1.0, 0.0]


def test_ordinary_rows_are_the_models_own_answers(tail_model: TailModel) -> None:
    columns = tail_rows(64, seed=1)
    found, own = _answer(tail_model, columns), tail_model.predict(columns)
    assert found.keys() == own.keys() >= set(tail_policy().outputs)
    for name in found.keys() - {"action"}:
        np.testing.assert_array_equal(found[name], own[name].astype(np.float64))
    assert [ACTIONS[int(code)] for code in found["action"]] == own["action"].tolist()


def test_a_row_that_the_model_cannot_take_costs_no_other_its_answer(tail_model: TailModel) -> None:
    columns = tail_rows(9, seed=2)
    whole = _answer(tail_model, columns)
    columns["load"][2], columns["slo_ms"][5], columns["error_rate"][7] = -1.0, math.nan, 1.5
    found = _answer(tail_model, columns)
    for row in range(9):
        if row in (2, 5, 7):
            assert all(math.isnan(column[row]) for column in found.values())
        else:
            assert bits(found, row) == bits(whole, row)


def test_a_batch_of_nothing_but_refused_rows_is_answered_too(tail_model: TailModel) -> None:
    columns = {name: np.full(3, math.nan) for name in BOUNDS}
    assert not _answerable(columns).any()
    assert all(np.isnan(column).all() for column in _answer(tail_model, columns).values())


def test_a_batch_that_the_model_refuses_has_no_columns(tail_model: TailModel) -> None:
    columns: Any = tail_rows(2, seed=3) | {"error_rate": np.array([True, False])}
    assert _answer(tail_model, columns) == {}


def test_a_row_has_the_same_bits_alone_and_among_others(tail_model: TailModel) -> None:
    columns = tail_rows(64, seed=4)
    columns["infra"][11] = math.inf
    together = _answer(tail_model, columns)
    for row in range(64):
        alone = _answer(tail_model, taken(columns, [row]))
        assert bits(alone, 0) == bits(together, row)


async def test_the_deployment_names_the_model_that_answered(tail_model: TailModel) -> None:
    tail: Any = object.__new__(Tail)
    metrics = Metrics(CollectorRegistry())
    tail.replica = SimpleNamespace(metrics=metrics)
    created = datetime(2026, 3, 2, tzinfo=UTC)
    version = ModelVersion(
        TailModel.name, "1.4.0", Path("somewhere"), created, tags={"telemetry": "demo"}, digest="d1"
    )
    tail._champions = Champions(lambda _: version, lambda _: tail_model)
    tail._online = ()  # nobody has told an outcome
    columns = tail_rows(3, seed=5)
    named = Named(TailModel.name, "champion")
    found = Prediction.from_frame(await tail.answer(Frame(columns, {"family": "tail"}), named))
    assert (found.model, found.model_version) == ("tail/xgboost-quantile", "1.4.0")
    assert found.digest == "d1"
    assert found.of_demo
    assert found.take([0]).of_demo
    np.testing.assert_equal(found.columns, _answer(tail_model, columns))
    counted = metrics.registry.get_sample_value(
        "model_inference_duration_seconds_count", {"model": "tail/xgboost-quantile"}
    )
    assert counted == 1.0
