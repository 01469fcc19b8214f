"""Replicas of one process compile once: what the first of them compiled is there for the next."""

from collections.abc import Callable
from types import ModuleType

import pytest

from deployments.anomaly import warm as streams
from deployments.forecasting.series import answering as series
from deployments.optimization.experiments import warm as experiments
from deployments.tail.extremes import answering as extremes


@pytest.mark.parametrize(
    ("module", "asks"),
    [
        (experiments, "ExperimentHandler"),
        (extremes, "answer_tails"),
        (series, "forecast_series"),
        (streams, "_follow"),
    ],
)
def test_only_the_first_replica_of_a_process_asks_the_models(
    module: ModuleType, asks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm: Callable[[], None] = module.warm
    warm()

    def refuse(*_: object) -> None:
        raise AssertionError("a model was asked again")

    monkeypatch.setattr(module, asks, refuse)
    warm()
