"""What is simulated: laws of latency, regressions, and what each run has to show."""

from dataclasses import dataclass

from benchmarks.evidence.traffic import (
    Law,
    Lognormal,
    Pareto,
    Regression,
    bursts,
    days,
    tides,
    unlike_keys,
    wandering_keys,
)
from models.evidence.margins import Margins, Quantile, Rate

ALPHA = 0.05
MARGINS = Margins(
    alpha=ALPHA,
    metrics=(
        Rate(name="violations", margin=0.002),
        Quantile(name="latency", p=0.99, margin=0.05, low=0.05, high=120_000.0),
        Quantile(name="width", p=0.5, margin=0.25, low=1e-3, high=1e6),
    ),
)
GROUPED = MARGINS.model_copy(update={"grouped": True})

PLAIN = Law("lognormal", Lognormal(0.5))
WIDE = Law("lognormal, sigma 1", Lognormal(1.0))
HEAVY = Law("Pareto, exponent 2", Pareto(2.0))
TIDES = Law("slow and fast times", tides)
BURSTS = Law("bursts of a key", bursts, keys=50)
UNLIKE = Law("60 unlike keys", unlike_keys, keys=60)
VERY_UNLIKE = Law("60 keys, all unlike", unlike_keys, keys=60, unlike=1.0)
WANDERING = Law("60 wandering keys", wandering_keys, keys=60, unlike=0.5)
IN_A_ROW = Law("bursts of 20 requests", unlike_keys, keys=2_000, unlike=0.5, in_a_row=20)
DAYS = Law("a day's ups and downs", days, keys=2_000)

AS_IT_IS = Regression()
# No worse than a margin allows, and not better either.
AT_THE_MARGIN = Regression(latency=1.05, violations=0.002, width=1.25)
SLOWER = Regression(latency=1.2)
VIOLATING = Regression(violations=0.01)
WIDER = Regression(width=2.0)


@dataclass(frozen=True)
class Scenario:
    """Many rollouts of one kind."""

    name: str
    law: Law
    regression: Regression = AS_IT_IS
    margins: Margins = MARGINS
    share: float = 0.5
    paired: bool = False
    # The rollouts of one scenario and of its paired one are of the same requests.
    requests: int = 20_000
    may_be_bad: bool = False


FALSE_ALARMS = (
    Scenario("A/A", PLAIN),
    Scenario("A/A", PLAIN, share=0.05),
    Scenario("A/A", WIDE),
    Scenario("A/A", HEAVY),
    Scenario("A/A", PLAIN, paired=True),
    Scenario("at the margin", PLAIN, AT_THE_MARGIN),
    Scenario("at the margin", PLAIN, AT_THE_MARGIN, share=0.05),
    Scenario("at the margin", HEAVY, AT_THE_MARGIN),
    Scenario("at the margin", PLAIN, AT_THE_MARGIN, paired=True),
)
DEPENDENT = (
    Scenario("A/A", TIDES),
    Scenario("A/A", DAYS),
    Scenario("A/A", BURSTS),
    Scenario("A/A, grouped", BURSTS, margins=GROUPED),
    Scenario("A/A", UNLIKE),
    Scenario("A/A, grouped", UNLIKE, margins=GROUPED),
    Scenario("A/A", UNLIKE, paired=True),
    Scenario("A/A, grouped", VERY_UNLIKE, margins=GROUPED),
    Scenario("A/A, grouped", WANDERING, margins=GROUPED),
    Scenario("A/A", IN_A_ROW),
    Scenario("at the margin, grouped", UNLIKE, AT_THE_MARGIN, margins=GROUPED),
    Scenario("at the margin, grouped", WANDERING, AT_THE_MARGIN, margins=GROUPED),
    Scenario("at the margin", IN_A_ROW, AT_THE_MARGIN),
    Scenario("at the margin, grouped", VERY_UNLIKE, AT_THE_MARGIN, share=0.05, margins=GROUPED),
)


# Of the platform's own steps, minutes and settings.
WHOLE = (
    (PLAIN, AS_IT_IS),
    (WANDERING, AS_IT_IS),
    (IN_A_ROW, AS_IT_IS),
    (PLAIN, Regression(latency=3.0)),
)


def planted() -> list[Scenario]:
    """Plant each regression in a canary and in a paired shadow of the same requests."""
    cases = [
        ("p99 +20 %", PLAIN, SLOWER, 60_000),
        ("p99 +20 %", WIDE, SLOWER, 120_000),
        ("p99 +20 %", HEAVY, SLOWER, 240_000),
        ("violations +1 point", PLAIN, VIOLATING, 60_000),
        ("intervals twice as wide", PLAIN, WIDER, 4_000),
    ]
    return [
        Scenario(
            name,
            law,
            regression,
            paired=paired,
            requests=requests,
            may_be_bad=True,
        )
        for name, law, regression, requests in cases
        for paired in (False, True)
    ]
