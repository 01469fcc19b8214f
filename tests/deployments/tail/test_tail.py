import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deployments.runtime.batch import Columns, Prediction
from deployments.runtime.champions import Champions, NamedModel
from deployments.runtime.coverage.online_offsets import OnlineOffsets
from deployments.runtime.transport.frame import Frame
from deployments.tail.answering import ORDINARY, answer_rows, answerable, numbers
from deployments.tail.deployment import Tail
from models.model_version import ModelVersion
from models.needs import TAIL
from models.tail.inputs import BOUNDS
from models.tail.plan import ACTIONS
from models.tail.resolution import BEGIN, END
from models.tail.xgboost_quantile import TailModel
from observability.metrics import Metrics
from safety.checker import Checker
from safety.limits import Level
from safety.tail import tail_policy
from tests.deployments.tail_rows import tail_rows, taken

REASON = "bounds_reason"


def bits(columns: Columns, row: int) -> dict[str, bytes]:
    return {name: column[row].tobytes() for name, column in columns.items()}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_row_is_answerable_up_to_the_bounds_of_each_column(name: str) -> None:
    low, high = BOUNDS[name]
    outside = [math.nextafter(low, -math.inf), math.nextafter(high, math.inf)]
    values = np.array([low, high, *outside, math.nan, math.inf, -math.inf])
    columns = {other: np.full(len(values), ORDINARY) for other in BOUNDS}
    good = answerable(columns | {name: values})
    missing = name in TAIL.can_do_without
    assert good.tolist() == [True, True, False, False, missing, False, False]


def test_the_place_of_a_refused_row_is_kept_by_one_that_is_answerable() -> None:
    assert answerable({name: np.array([ORDINARY]) for name in BOUNDS}).all()


def test_answers_travel_as_numbers_which_mean_what_they_meant() -> None:
    answers: Any = {
        "p99_pred": np.array([12.5, 7.0]),
        "action": np.array(["page", "none"]),
        "autoscale_workers": np.array([12, 3]),
        "extrapolated": np.array([True, False]),
    }
    found = numbers(answers)
    assert {column.dtype for column in found.values()} == {np.dtype(np.float64)}
    assert [ACTIONS[int(code)] for code in found["action"]] == ["page", "none"]
    assert found["autoscale_workers"].tolist() == [12.0, 3.0]
    assert found["extrapolated"].tolist() == [1.0, 0.0]


def test_ordinary_rows_are_the_models_own_answers(tail_model: TailModel) -> None:
    columns = tail_rows(64, seed=1)
    found, own = answer_rows(tail_model, columns), tail_model.predict(columns)
    assert found.keys() == own.keys() >= set(tail_policy().outputs)
    for name in found.keys() - {"action"}:
        np.testing.assert_array_equal(found[name], own[name].astype(np.float64))
    assert [ACTIONS[int(code)] for code in found["action"]] == own["action"].tolist()


def test_a_row_that_the_model_cannot_take_costs_no_other_its_answer(tail_model: TailModel) -> None:
    columns = tail_rows(9, seed=2)
    whole = answer_rows(tail_model, columns)
    columns["load"][2], columns["slo_ms"][5], columns["error_rate"][7] = -1.0, math.nan, 1.5
    found = answer_rows(tail_model, columns)
    for row in range(9):
        if row in (2, 5, 7):
            assert all(math.isnan(column[row]) for column in found.values())
        else:
            assert bits(found, row) == bits(whole, row)


def test_a_batch_of_nothing_but_refused_rows_is_answered_too(tail_model: TailModel) -> None:
    columns = {name: np.full(3, math.nan) for name in BOUNDS}
    assert not answerable(columns).any()
    assert all(np.isnan(column).all() for column in answer_rows(tail_model, columns).values())


def test_a_batch_that_the_model_refuses_has_no_columns(tail_model: TailModel) -> None:
    columns: Any = tail_rows(2, seed=3) | {"error_rate": np.array([True, False])}
    assert answer_rows(tail_model, columns) == {}


def test_a_row_has_the_same_bits_alone_and_among_others(tail_model: TailModel) -> None:
    columns = tail_rows(64, seed=4)
    columns["infra"][11] = math.inf
    together = answer_rows(tail_model, columns)
    for row in range(64):
        alone = answer_rows(tail_model, taken(columns, [row]))
        assert bits(alone, 0) == bits(together, row)


def serving(model: TailModel, online: Any = ()) -> Any:
    tail: Any = object.__new__(Tail)
    tail.replica = SimpleNamespace(metrics=Metrics(CollectorRegistry()))
    created = datetime(2026, 3, 2, tzinfo=UTC)
    version = ModelVersion(
        TailModel.name, "1.4.0", Path("somewhere"), created, tags={"telemetry": "demo"}, digest="d1"
    )
    tail._champions = Champions(lambda _: version, lambda _: model)
    tail._online = online
    return tail


async def asked(tail: Any, columns: Columns, entities: list[str]) -> Prediction:
    frame = Frame(columns, {"family": "tail", "entities": entities})
    return Prediction.from_frame(await tail.answer(frame, NamedModel(TailModel.name, "champion")))


async def test_of_an_entity_within_one_bucket_the_answer_says_what_is_not_known(
    tail_model: TailModel,
) -> None:
    """The entity's own bucket is told, its objective judged outside of it only."""
    meta = replace(tail_model.meta, buckets={"fast": (0.0, 5.0)})
    bounded = TailModel(tail_model._booster, meta)
    columns = tail_rows(4, seed=5) | {"slo_ms": np.array([2.0, 50.0, 2.0, 2.0])}
    columns["load"][3] = math.inf  # no answer of the model's
    names = ["fast", "fast", "slow", "fast"]
    found = await asked(serving(bounded), columns, names)
    hidden, outside, measured, _ = found.details
    assert hidden is not None
    assert outside is not None
    assert hidden["data"] == {"breach_probability": None}
    assert "fast lie within one bucket of its histogram, 0 to 5 ms" in hidden["meta"][REASON]
    assert "longer than 2 ms is not known" in hidden["meta"][REASON]
    assert "data" not in outside
    assert "2 ms" not in outside["meta"][REASON]
    assert measured is None
    judged = Checker(tail_policy()).check({**columns, **found.columns}, 4).levels.tolist()
    assert judged[0] < Level.UNSAFE.code  # a number that safety knows travels for the null
    nobody = await asked(serving(tail_model), columns, names)
    assert nobody.details == []
    assert nobody.columns.keys() == found.columns.keys() - {BEGIN, END}


async def test_outcomes_come_back_to_a_bounded_entity_too(tail_model: TailModel) -> None:
    online = OnlineOffsets(Redis(), "tail")  # which is never asked
    record = {"offset": -0.4, "outcomes": 200, "coverage": 0.9}
    online.take({"fast": record})
    meta = replace(tail_model.meta, buckets={"fast": (0.0, 50_000.0)})
    columns = tail_rows(2, seed=5)
    found = await asked(
        serving(TailModel(tail_model._booster, meta), online), columns, ["fast", "slow"]
    )
    said, nothing = found.details
    assert said is not None
    assert said["interval"] == {"method": "cqr+aci", "online": record}
    assert REASON in said["meta"]
    assert nothing is None
    assert found.columns["lower"][0] == 0
    assert found.columns["upper"][0] == pytest.approx(50_000 * math.exp(-0.4))


async def test_the_deployment_names_the_model_that_answered(tail_model: TailModel) -> None:
    tail = serving(tail_model)  # nobody has told an outcome
    metrics = tail.replica.metrics
    columns = tail_rows(3, seed=5)
    named = NamedModel(TailModel.name, "champion")
    found = Prediction.from_frame(await tail.answer(Frame(columns, {"family": "tail"}), named))
    assert (found.model, found.model_version) == ("tail/xgboost-quantile", "1.4.0")
    assert found.digest == "d1"
    assert found.of_demo
    assert found.take([0]).of_demo
    np.testing.assert_equal(found.columns, answer_rows(tail_model, columns))
    counted = metrics.registry.get_sample_value(
        "model_inference_duration_seconds_count", {"model": "tail/xgboost-quantile"}
    )
    assert counted == 1.0
