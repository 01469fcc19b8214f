"""What safety made of the hours of a plan after the first, in the answer that leaves."""

from typing import Any

import numpy as np

from deployments.api.capacity import CAPACITY
from deployments.runtime.batch import Batch, Detail, Judgement
from deployments.safety.judge import Judge
from deployments.safety.list_items import ListItems
from safety.capacity import capacity_policy

PLAN: dict[str, list[Any]] = {
    "workers": [4, 4, 5, 5],
    "point": [100.0, 110.0, 120.0, 130.0],
    "lower": [90.0, 95.0, 105.0, 110.0],
    "upper": [110.0, 120.0, 130.0, 150.0],
}
ROW = {
    "request_rate": 100.0,
    "active_workers": 4.0,
    "next_hour_workers": 4.0,
    "queue_capacity": 60.0,
    "rate": 100.0,
    "lower": 90.0,
    "upper": 110.0,
}


def judged(row: dict[str, float], plan: dict[str, list[Any]]) -> tuple[Judgement, Detail]:
    """Judge a plan as a request does; give the judgement and what became of the detail."""
    assert CAPACITY.nested is not None
    judge = Judge.of(capacity_policy())
    detail: Detail = {"data": {name: list(values) for name, values in plan.items()}}
    batch = Batch("capacity", ["gateway"], {name: np.array([row[name]]) for name in row})
    items = ListItems.of(CAPACITY.nested, [detail])
    found = judge.judge(items.unfold(batch, [detail]))
    return items.fold(found, [detail], 1), detail


def test_an_hour_that_the_fallback_answers_makes_the_answer_degraded() -> None:
    found, detail = judged(ROW, PLAN | {"lower": [90.0, 95.0, 300.0, 110.0]})
    assert [each["hour"] for each in found.violations[0]] == [3]
    assert (detail["data"]["lower"][2], detail["data"]["upper"][2]) == (50.0, 200.0)
    assert detail["data"]["lower"][3] == 110.0
    assert detail["meta"]["degraded"]
    assert not found.fallback[0]


def test_an_hour_that_is_only_clamped_is_still_the_models() -> None:
    found, detail = judged(ROW, PLAN | {"workers": [4, 4, 5_000, 5]})
    assert {each["hour"] for each in found.violations[0]} == {3}
    assert detail["data"]["workers"][2] == 100
    assert "meta" not in detail


def test_what_is_wrong_with_the_request_is_reported_once() -> None:
    found, _ = judged(ROW | {"active_workers": 0.0}, PLAN)
    assert [each["rule"] for each in found.violations[0]].count("range:active_workers") == 1
    assert not any("hour" in each for each in found.violations[0])
    assert found.fallback[0]
