import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from access.endpoints import needed_role
from access.keys import Role
from config_store.shipped import default_document
from config_store.sources import EntityFacts, SourcesConfig
from deployments.api.shipped import FAMILIES
from deployments.api.tail import FEATURES, GIVEN, TAIL, TailBody, TailData, answers, columns
from deployments.runtime.batch import Detail
from features.definitions.live import NAMES
from models.tail.calibration import INTERVAL_LEVEL
from models.tail.inputs import BOUNDS
from models.tail.plan import ACTIONS
from models.tail.xgboost_quantile import TailModel
from safety.tail import tail_policy

DOCUMENT = default_document()
OUTPUTS: dict[str, Any] = {
    "p50_pred": np.array([1.5, 2.0]),
    "p95_pred": np.array([3.5, 4.0]),
    "p99_pred": np.array([5.5, 6.0]),
    "p999_pred": np.array([7.5, 8.0]),
    "breach_probability": np.array([0.25, 1.0]),
    "action": np.array([3.0, 0.0]),
    "autoscale_workers": np.array([12.0, 3.0]),
    "admit_fraction": np.array([0.5, 1.0]),
}


def test_what_a_request_leaves_out_is_a_hole_and_the_slo_the_configurations() -> None:
    bodies = [TailBody(load=0.5, slo_ms=20), TailBody(infra=0.25, error_rate=0.0)]
    found = columns(bodies, DOCUMENT)
    assert tuple(found) == (*GIVEN, "slo_ms")
    np.testing.assert_equal(found["load"], [0.5, math.nan])
    np.testing.assert_equal(found["infra"], [math.nan, 0.25])
    np.testing.assert_equal(found["error_rate"], [math.nan, 0.0])
    assert found["slo_ms"].tolist() == [20.0, 250.0]
    assert {column.dtype for column in found.values()} == {np.dtype(np.float64)}


def test_answers_are_the_contracts_a_row_each() -> None:
    found = answers(OUTPUTS, [None] * 2)
    assert found[0] == {
        "p50_pred": 1.5,
        "p95_pred": 3.5,
        "p99_pred": 5.5,
        "p999_pred": 7.5,
        "breach_probability": 0.25,
        "action": "page",
        "autoscale_workers": 12,
        "admit_fraction": 0.5,
    }
    assert isinstance(found[0]["autoscale_workers"], int)
    for answer in found:
        assert set(answer) == set(TailData.model_fields)
        TailData.model_validate(answer, strict=True)


def test_what_the_model_takes_back_is_null() -> None:
    nobody_knows: Detail = {"data": {"breach_probability": None}, "meta": {"bounds_reason": "so"}}
    others: list[Detail | None] = [None, {"interval": {}}]
    for other in others:
        found = answers(OUTPUTS, [nobody_knows, other])
        assert [answer["breach_probability"] for answer in found] == [None, 1.0]
        for answer in found:
            TailData.model_validate(answer, strict=True)


@pytest.mark.parametrize(("code", "action"), list(enumerate(ACTIONS)))
def test_every_action_has_its_name(code: int, action: str) -> None:
    found = answers(OUTPUTS | {"action": np.array([float(code)] * 2)}, [None] * 2)
    assert [answer["action"] for answer in found] == [action] * 2
    TailData.model_validate(found[0], strict=True)


def test_a_body_cannot_be_changed_after_it_was_checked() -> None:
    body = TailBody(load=0.5)
    with pytest.raises(ValidationError, match="frozen"):
        body.load = 7.0  # type: ignore[misc] # what is tried here is just that


def test_the_rooms_agree_on_the_family() -> None:
    """What one room must know of another without importing it is held together here."""
    assert FAMILIES["tail"] is TAIL
    # The store keeps every feature that the family fills, and the configuration has a default.
    assert set(FEATURES) <= set(NAMES)
    assert set(FEATURES) <= default_document().features.defaults.keys()
    # Model and policy find every column that they read.
    assert set(BOUNDS) <= {*FEATURES, "slo_ms"}
    assert set(tail_policy().inputs) <= {*FEATURES, "slo_ms"}
    assert set(TailData.model_fields) | {"lower", "upper"} == set(tail_policy().outputs)
    # The interval is the one that was calibrated.
    assert TAIL.interval_level == INTERVAL_LEVEL
    assert default_document().serving.tail.model == TailModel.name
    assert needed_role("POST", TAIL.path) is Role.CLIENT


def test_the_configurations_defaults_are_rows_that_the_model_takes() -> None:
    for name, value in default_document().features.defaults.items():
        assert BOUNDS[name].low <= value <= BOUNDS[name].high


def test_an_entity_with_an_objective_of_its_own_is_held_to_it() -> None:
    facts = {"shop": EntityFacts(target_ms=40.0), "till": EntityFacts(exchange="XLON")}
    shipped = default_document()
    stated = shipped.model_copy(update={"sources": SourcesConfig(entities=facts)})
    bodies = [TailBody(entity=name, load=0.5) for name in ("shop", "till", "other")]
    bodies.append(TailBody(entity="shop", load=0.5, slo_ms=7.0))
    usual = shipped.serving.tail.slo_ms
    assert TAIL.columns(bodies, stated)["slo_ms"].tolist() == [40.0, usual, usual, 7.0]
    assert TAIL.columns(bodies, shipped)["slo_ms"].tolist() == [usual, usual, usual, 7.0]
