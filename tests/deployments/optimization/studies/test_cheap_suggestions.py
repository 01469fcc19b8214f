from typing import Any

import pytest

from deployments.optimization.studies.cheap_suggestions import cheap
from deployments.optimization.studies.state import Running
from models.optimization.bayes.snapshot import design_from
from models.optimization.bayes.study import Study
from models.optimization.bayes.suggest import suggest

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
    "n": {"type": "int", "low": 1, "high": 9},
    "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
}


def running(told: int, **design: Any) -> Running:
    study = Study.start(design_from({"space": SPACE} | design))
    for at in range(told):
        point = {"x": 0.01 + at / 100, "n": 5, "kind": "b"}
        study.add(point, [float(at)])
    return Running.of(study)


@pytest.mark.parametrize("design", [{}, {"seed": 7}, {"candidates": [
    {"x": x / 100, "n": 2, "kind": "c"} for x in range(1, 40)]}])  # fmt: skip
def test_a_study_starts_as_the_engine_starts_it(design: dict[str, Any]) -> None:
    found = running(0, **design)
    for _ in range(35):
        suggestion = cheap(found)
        assert suggestion.parameters == suggest(found.study, 0).parameters
        assert suggestion.source == "start"
        found.study.ask(suggestion.parameters)


def test_many_more_asks_than_points_are_answered() -> None:
    found = running(0)
    for _ in range(1_100):
        found.study.ask(cheap(found).parameters)


def test_later_it_goes_by_turns_near_the_best_and_over_all() -> None:
    found = running(8)
    near, spread = list[dict[str, Any]](), list[dict[str, Any]]()
    for _ in range(60):
        suggestion = cheap(found)
        (near if suggestion.source == "near_best" else spread).append(suggestion.parameters)
        found.study.ask(suggestion.parameters)
    assert len(near) == len(spread) == 30
    assert all(1e-3 <= each["x"] <= 0.2 for each in near)  # the best is at .01
    assert sum(each["kind"] == "b" for each in near) > 20
    assert max(each["x"] for each in spread) > 0.5
    assert {each["kind"] for each in spread} == {"a", "b", "c"}


def test_of_candidates_each_is_spread_once_to_the_last() -> None:
    points = [{"x": x / 100, "n": 2, "kind": "c"} for x in range(1, 40)]
    found = running(5, candidates=points)
    asked = list[dict[str, Any]]()
    for _ in points:
        suggestion = cheap(found)
        assert suggestion.source == "spread"
        found.enters(found.study.ask(suggestion.parameters))
        asked.append(suggestion.parameters)
    assert sorted(each["x"] for each in asked) == [each["x"] for each in points]
    assert found.left == 0


def test_it_follows_from_the_study_alone() -> None:
    assert cheap(running(9)) == cheap(running(9))


def test_without_a_feasible_trial_it_spreads() -> None:
    found = running(0)
    for _ in range(7):
        found.study.ask({"x": 0.1, "n": 1, "kind": "a"})
        found.study.tell(len(found.study.trials) - 1, failed=True)
    assert cheap(Running.of(found.study)).source == "spread"
