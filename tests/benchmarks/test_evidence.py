"""What the bench finds on a short way is what a trial says that is looked at every time."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence import whole
from benchmarks.evidence.canary import judge
from benchmarks.evidence.crossing import NEVER
from benchmarks.evidence.run import Result, lowest
from benchmarks.evidence.scenarios import AT_THE_MARGIN, FALSE_ALARMS, PLAIN, Scenario
from benchmarks.evidence.traffic import Regression, Traffic, play
from config_store.steering.settings import RolloutSettings
from models.evidence.margins import Design, Margins, Quantile, Rate
from models.evidence.trial import Pairs, Requests, Trial
from models.evidence.verdict import Verdict

MARGINS = Margins(
    alpha=0.2,
    metrics=(
        Rate(name="violations", margin=0.1),
        Quantile(name="latency", p=0.8, margin=0.2, low=1.0, high=1000.0),
        Quantile(name="width", p=0.5, margin=0.25, low=0.01, high=100.0),
    ),
)
LOUD = replace(PLAIN, violations=0.2)
WORSE = Regression(latency=1.6, violations=0.3, width=2.0)


def one_by_one(traffic: Traffic, design: Design) -> dict[str, tuple[int, int]]:
    """Add request after request to a trial, and note when each metric was bad, and good."""
    trial = Trial(MARGINS, design)
    found = {metric.name: (NEVER, NEVER) for metric in MARGINS.metrics}
    for at in range(traffic.key.size):
        here = slice(at, at + 1)
        keys, minutes = [str(traffic.key[at])], traffic.minute[here]
        arms = [
            {name: getattr(traffic, name)[arm][here] for name in traffic.names} for arm in (0, 1)
        ]
        candidate = traffic.candidate[here]
        if design.paired:
            trial.add(Pairs(keys, minutes, *arms))
        else:
            trial.add(Requests(keys, minutes, candidate, arms[int(candidate[0])]))
        for name, seen in trial.look().metrics.items():
            tests = [seen.evidence] if seen.by_keys is None else [seen.evidence, seen.by_keys]
            reached = (all(each.is_bad for each in tests), all(each.is_good for each in tests))
            found[name] = tuple(  # type: ignore[assignment] # two, as there were
                at + 1 if now and before == NEVER else before
                for now, before in zip(reached, found[name], strict=True)
            )
    return found


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("regression", [Regression(), WORSE])
def test_each_crossing_is_where_a_trial_has_it(regression: Regression, paired: bool) -> None:
    design = Design(paired=paired)
    traffic = play(LOUD, regression, 300, 0.5, np.random.default_rng(3))
    found = judge(traffic, MARGINS, design)
    assert {name: (found.bad[name], found.good[name]) for name in found.bad} == one_by_one(
        traffic, design
    )
    assert (found.rolled_back != NEVER) is (regression is WORSE)


def test_a_share_that_is_too_high_is_a_fault() -> None:
    found = [judge(play(LOUD, WORSE, 300, 0.5, np.random.default_rng(3)), MARGINS, Design())]
    as_good = Scenario("A/A", LOUD)
    assert Result(as_good, found * 50, 0.0).faults() == ["100.0% were rolled back, more than 5%"]
    bad = replace(as_good, may_be_bad=True)
    assert Result(bad, found * 50, 0.0).faults() == []
    assert Result(bad, found * 50, 0.0).median() == found[0].rolled_back
    assert any(each.regression is AT_THE_MARGIN for each in FALSE_ALARMS)


def test_the_bound_is_an_exact_one() -> None:
    assert lowest(0, 1000) == 0.0
    assert 0.049 < lowest(67, 1000) < 0.051  # so many of 1,000 are too many for 5 %


@pytest.mark.parametrize(("width", "last"), [(1.0, Verdict.UNKNOWN), (8.0, Verdict.BAD)])
def test_a_whole_rollout_is_judged_step_by_step(
    width: float, last: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "MINUTES", 4)
    found = whole.play_whole(PLAIN, Regression(width=width), RolloutSettings(), 1)
    assert len(found.verdicts) == 4
    assert found.verdicts[0] is Verdict.UNKNOWN  # of 800 requests the candidate has eight
    assert found.verdicts[-1] is last
    assert found.rolled_back is (last is Verdict.BAD)
