"""What the lanes do to two versions that are one does not tell them apart."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence.through_lanes import Setting, judge_through_lanes
from config_store.steering.state import Strategy
from models.evidence.verdict import Verdict

CANARY = Setting("canary", Strategy.CANARY, 0.05, minutes=1.5)
SHADOW = Setting("shadow", Strategy.SHADOW, 0.0, minutes=2.0)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.75])
def test_a_canary_that_is_the_incumbent_waits_no_longer_than_it(share: float) -> None:
    found = judge_through_lanes(replace(CANARY, share=share), 1)
    assert found.verdict is not Verdict.BAD
    means = [float(each.mean()) for each in found.compared]
    assert means[1] / means[0] == pytest.approx(1.0, abs=0.06)
    assert min(each.size for each in found.compared) > 1000  # of either arm as many
    assert found.ratio(0.95) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("per_second", [20.0, 300.0])
def test_a_shadow_that_is_the_incumbent_takes_as_long_as_it(per_second: float) -> None:
    found = judge_through_lanes(replace(SHADOW, per_second=per_second), 1)
    incumbent, candidate = found.compared
    assert incumbent.size > 500
    assert float(np.mean(candidate) / np.mean(incumbent)) == pytest.approx(1.0, abs=0.02)
    assert found.ratio(0.99) == pytest.approx(1.0, abs=0.05)


def test_a_shadow_that_is_slower_is_seen_to_be_as_much_slower() -> None:
    found = judge_through_lanes(replace(SHADOW, per_second=100.0, slower=1.25), 1)
    assert found.ratio(0.99) == pytest.approx(1.25, abs=0.06)
