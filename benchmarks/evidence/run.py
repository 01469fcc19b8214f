"""Measures the evidence of rollouts: `python -m benchmarks.evidence.run`.

False alarms: how many of 1,000 rollouts of a candidate that is as good as the incumbent, or exactly
as bad as the margins allow, are rolled back or promoted when somebody looks after every request.
Planted regressions: after how many requests half of the rollouts have caught them.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from scipy.stats import beta

from benchmarks.evidence.canary import Found, judge
from benchmarks.evidence.crossing import NEVER
from benchmarks.evidence.scenarios import (
    ALPHA,
    AT_THE_MARGIN,
    DEPENDENT,
    FALSE_ALARMS,
    WHOLE,
    Scenario,
    planted,
)
from benchmarks.evidence.through_lanes import SETTINGS, Setting, judge_through_lanes
from benchmarks.evidence.traffic import Law, Regression, play
from benchmarks.evidence.whole import MINUTES, PER_MINUTE, Whole, play_whole
from config_store.steering.settings import RolloutSettings
from models.evidence.margins import Design
from models.evidence.verdict import Verdict

PLANTED_ROLLOUTS = 200
WHOLE_ROLLOUTS = 200  # of four steps each, and a second of a core
LANES_ROLLOUTS = 3  # each some ten seconds of a core
# The paired shadow needs at most a third of the requests.
TIMES_FEWER = 3.0
CAUGHT = 0.9


@dataclass(frozen=True)
class Result:
    """What the rollouts of a scenario came to."""

    scenario: Scenario
    found: list[Found]
    seconds: float

    @property
    def rolled_back(self) -> list[int]:
        return [each.rolled_back for each in self.found if each.rolled_back != NEVER]

    @property
    def promoted(self) -> list[int]:
        return [each.promoted for each in self.found if each.promoted != NEVER]

    def median(self) -> float:
        """Give the number of requests after which half of all rollouts were rolled back."""
        at = sorted(self.rolled_back)
        middle = (len(self.found) - 1) // 2
        return at[middle] if middle < len(at) else float("inf")

    def faults(self) -> list[str]:
        """Say what is not as promised; a share is too high where alpha is outside its bounds."""
        scenario, n = self.scenario, len(self.found)
        if scenario.may_be_bad:
            share = len(self.rolled_back) / n
            return [] if share >= CAUGHT else [f"only {share:.1%} were caught"]
        wrong = {"rolled back": len(self.rolled_back)}
        if scenario.regression == AT_THE_MARGIN:
            wrong["promoted"] = len(self.promoted)
        return [
            f"{count / n:.1%} were {what}, more than {ALPHA:.0%}"
            for what, count in wrong.items()
            if lowest(count, n) > ALPHA
        ]


def lowest(count: int, n: int) -> float:
    """Bound a probability from below, by Clopper and Pearson with 99 %."""
    return float(beta.ppf(0.01, count, n - count + 1)) if count else 0.0


def _one(task: tuple[Scenario, int]) -> Found:
    scenario, number = task
    rng = np.random.default_rng([2026, number])
    traffic = play(scenario.law, scenario.regression, scenario.requests, scenario.share, rng)
    return judge(traffic, scenario.margins, Design(paired=scenario.paired, share=scenario.share))


def measure(scenario: Scenario, rollouts: int, workers: int) -> Result:
    begun = time.perf_counter()
    tasks = [(scenario, number) for number in range(rollouts)]
    with get_context("fork").Pool(workers) as pool:
        found = pool.map(_one, tasks, chunksize=8)
    return Result(scenario, found, time.perf_counter() - begun)


def _whole(task: tuple[Law, Regression, int]) -> Whole:
    law, regression, number = task
    return play_whole(law, regression, RolloutSettings(), number)


def judge_whole(law: Law, regression: Regression, rollouts: int, workers: int) -> list[str]:
    """Play whole rollouts with the default settings, and say what is not as promised."""
    tasks = [(law, regression, number) for number in range(rollouts)]
    with get_context("fork").Pool(workers) as pool:
        found = pool.map(_whole, tasks, chunksize=4)
    alpha, bad = RolloutSettings().alpha, sum(each.rolled_back for each in found)
    steps = list(zip(*(each.verdicts for each in found), strict=True))
    good = ", ".join(f"{sum(each == 'good' for each in step) / rollouts:.0%}" for step in steps)
    print(f"  {law.name:<24} rolled back {bad / rollouts:>6.1%}   good by step {good}", flush=True)
    if regression == Regression():
        wrong = lowest(bad, rollouts) > alpha
        return [f"{law.name}: {bad / rollouts:.1%} were rolled back, more than {alpha:.0%}"] * wrong
    share = bad / rollouts
    return [] if share >= CAUGHT else [f"{law.name}: only {share:.1%} were caught"]


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    faults = list[str]()
    for title, scenarios in (("False alarms", FALSE_ALARMS), ("Dependent requests", DEPENDENT)):
        print(f"\n{title}: {options.rollouts:,} rollouts each, looked at after every request")
        for scenario in scenarios:
            result = measure(scenario, options.rollouts, options.workers)
            faults += _print(result)
    print(
        f"\nWhole rollouts by the ledger, default settings: {options.whole:,} each, "
        f"{MINUTES} minutes a step, {PER_MINUTE} requests a minute"
    )
    for law, regression in WHOLE:
        faults += judge_whole(law, regression, options.whole, options.workers)
    print("\nThe incumbent against itself, through the gateway's lanes in virtual time")
    for setting in SETTINGS:
        faults += _through_lanes(setting, options.lanes)
    print(f"\nPlanted regressions: {options.planted:,} rollouts each")
    results = [measure(each, options.planted, options.workers) for each in planted()]
    for result in results:
        faults += _print(result)
    print("\nA paired shadow of the same requests needs")
    for canary, shadow in zip(results[::2], results[1::2], strict=True):
        faults += _compare(canary, shadow)
    for fault in faults:
        print(f"NOT AS PROMISED: {fault}")
    return 1 if faults else 0


def _through_lanes(setting: Setting, rollouts: int) -> list[str]:
    """Say where more are rolled back than may be; by what lanes do nearly all would be."""
    found = [judge_through_lanes(setting, seed) for seed in range(rollouts)]
    verdicts = ", ".join(each.verdict for each in found)
    ratio = float(np.median([each.ratio(0.99) for each in found]))
    name = f"{setting.name} {setting.share:.0%}, {setting.per_second:g} requests a second"
    print(f"  {name:<40} p99 of the candidate / incumbent {ratio:.2f}   {verdicts}", flush=True)
    bad = sum(each.verdict is Verdict.BAD for each in found)
    return (
        [f"{name}: {bad} of {rollouts} were rolled back"] if lowest(bad, rollouts) > ALPHA else []
    )


def _print(result: Result) -> list[str]:
    scenario, n = result.scenario, len(result.found)
    kind = "paired" if scenario.paired else f"canary {scenario.share:.0%}"
    median = result.median()
    caught = f"half by {median:,.0f}" if np.isfinite(median) else ""
    print(
        f"  {scenario.name:<24} {scenario.law.name:<20} {kind:<11} "
        f"{scenario.requests:>7,} requests   rolled back {len(result.rolled_back) / n:>6.1%} "
        f"{caught:<15} promoted {len(result.promoted) / n:>6.1%}   {result.seconds:.0f} s",
        flush=True,
    )
    return [f"{scenario.name}, {scenario.law.name}, {kind}: {each}" for each in result.faults()]


def _compare(canary: Result, shadow: Result) -> list[str]:
    scenario = canary.scenario
    times = canary.median() / shadow.median()
    print(f"  1/{times:.1f} of the requests   {scenario.name}, {scenario.law.name}")
    if times >= TIMES_FEWER:
        return []
    return [f"{scenario.name}, {scenario.law.name}: the paired shadow needs 1/{times:.1f}"]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--planted", type=int, default=PLANTED_ROLLOUTS)
    parser.add_argument("--whole", type=int, default=WHOLE_ROLLOUTS)
    parser.add_argument("--lanes", type=int, default=LANES_ROLLOUTS)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
