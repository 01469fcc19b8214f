import time
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.runtime.autoscaling import METRIC, BusyMeter, by_busy_share


def context(shares: dict[str, float] | None, target: int = 3) -> Any:
    metrics = None if shares is None else {METRIC: shares}
    return SimpleNamespace(aggregated_metrics=metrics, target_num_replicas=target)


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [([0.1], 1), ([0.6], 1), ([0.95], 2), ([0.95, 0.95], 4), ([0.3, 0.3], 1), ([0.0, 0.0, 0.0], 1)],
)
def test_it_asks_for_as_many_as_bring_the_mean_to_its_target(
    shares: list[float], wanted: int
) -> None:
    named = {f"replica-{at}": share for at, share in enumerate(shares)}
    assert by_busy_share(context(named)) == (wanted, {})


def test_without_figures_it_leaves_things_as_they_are() -> None:
    assert by_busy_share(context(None)) == (3, {})
    assert by_busy_share(context({})) == (3, {})


def test_the_meter_tells_work_from_sleep() -> None:
    meter = BusyMeter()
    time.sleep(0.2)
    idle = meter.share()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        sum(range(1000))
    assert meter.share() > 5 * idle
