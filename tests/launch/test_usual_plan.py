"""What a certificate's plan asks for otherwise than out of the box is named, whoever wrote it."""

from typing import Any

import pytest

from config_store.certificates.plan import Plan, margins_of
from config_store.steering.settings import RolloutSettings
from deployments.history.step_evidence import STATEFUL, WITHOUT_INTERVAL
from launch.usual_plan import differences
from launch.verify_command import _judged_by
from models.evidence.margins import Design

SETTINGS = RolloutSettings()
USUAL = Plan(
    rollout="r",
    step=0,
    incumbent=4,
    candidate=5,
    begins_ms=0,
    design=Design(share=0.05),
    margins=margins_of(SETTINGS.margins, SETTINGS.alpha, 4, grouped=True),
    stateful=STATEFUL,
    without_interval=WITHOUT_INTERVAL,
)


def test_a_usual_plan_differs_in_nothing() -> None:
    assert differences(USUAL) == []
    assert "with 5 % of the keys" in _judged_by(USUAL)
    assert "Otherwise" not in _judged_by(USUAL)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("margins.metrics.0.p", 0.5, "p99_ms.p is 0.5 in place of 0.99"),
        ("margins.metrics.0.low", 1e5, "p99_ms.low is 100000 in place of 0.05"),
        ("margins.metrics.0.high", 0.1, "p99_ms.high is 0.1 in place of 120000"),
        ("margins.metrics.1.most_missing", 1.0, "interval_width.most_missing is 1 in place of"),
        ("margins.metrics.3.margin", 0.5, "error_rate.margin is 0.5 in place of 0.005"),
        ("margins.metrics.3.name", "errors", "errors is no metric of a rollout"),
        ("margins.metrics.3.name", "errors", "error_rate is not judged"),
        ("margins.check_alpha", 1e-9, "check_alpha is 1e-09 in place of 0.001"),
        ("margins.alpha", 0.5, "alpha is 0.5 in place of 0.01"),
        ("margins.grouped", False, "grouped is False in place of True"),
        ("margins.most_by_both", 0.5, "most_by_both is 0.5 in place of 0.01"),
        ("stateful", [], "stateful is none in place of anomaly, bandit"),
        ("without_interval", ["tail-slo"], "without_interval is tail-slo in place of"),
    ],
)
def test_each_difference_is_named(at: str, value: Any, said: str) -> None:
    form = USUAL.model_dump(mode="json")
    *path, last = [int(each) if each.isdigit() else each for each in at.split(".")]
    place: Any = form
    for each in path:
        place = place[each]
    place[last] = value
    assert said in _judged_by(Plan.model_validate(form))
