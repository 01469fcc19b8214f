"""How much worse the candidate may be: a confidence sequence, made of the very tests that judge.

An excess takes the margin's place in a test. From below it is refuted once the evidence for "worse
than this" has reached what is needed, from above once that for "not worse than this" has. So the
margin is left out of the sequence exactly where there is a verdict, and at any other excess it
shows how far that is. Evidence falls, or rises, with the excess, so the excesses that are refuted
on one side are neighbours, and the error is that of one test.

A paired quantile and a mean cannot be tested at another excess by what is kept of them: theirs is
read off the two arms' own sequences, and is wider.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from models.evidence.margins import Metric, Quantile, Rate
from models.evidence.means import ArmsMean, PairsMean
from models.evidence.quantiles import ArmsQuantile, PairsQuantile
from models.evidence.rates import ArmsRate, PairsRate
from models.evidence.thresholds import PER_MARGIN
from models.evidence.verdict import Interval

Test = ArmsRate | ArmsQuantile | ArmsMean | PairsRate | PairsQuantile | PairsMean
Evidence = Callable[[int], tuple[float, float]]

# In parts of the margin; what lies beyond them is told as unknown.
_STEPS = range(-2 * PER_MARGIN, 4 * PER_MARGIN + 1)
_SMALLEST_UNIT = 0.001  # of a rate whose margin is 0


def excess_of(
    test: Test, metric: Metric, needed: tuple[float, float], arms: tuple[Interval, Interval]
) -> Interval:
    """Bound the candidate's excess: a difference of rates or means, a factor less one of quantiles.

    `needed` is of the evidence for bad and for good; `arms` are the sequences of each arm alone.
    """
    match test, metric:
        case (ArmsRate() | PairsRate() as rate, Rate(margin=margin)):
            unit = margin or _SMALLEST_UNIT
            each = [unit * (step / PER_MARGIN) for step in _STEPS]
            excesses = [excess for excess in each if -1 < excess < 1]
            return _tested(excesses, lambda at: rate.log_evidence_of(excesses[at]), needed)
        case (ArmsQuantile() as quantile, Quantile(margin=margin)):
            excesses = [(1 + margin) ** (step / PER_MARGIN) - 1 for step in _STEPS]
            return _tested(
                excesses, lambda at: quantile.log_evidence_of(_STEPS[at] - PER_MARGIN), needed
            )
        case (_, Quantile()):
            return _ratio(*arms)
    return _difference(*arms)


def _tested(excesses: Sequence[float], evidence: Evidence, needed: tuple[float, float]) -> Interval:
    """Find the greatest excess that is refuted from below, and the smallest from above."""
    every = range(len(excesses))
    above = bisect_left(every, True, key=lambda at: evidence(at)[0] < needed[0])
    below = bisect_left(every, True, key=lambda at: evidence(at)[1] >= needed[1])
    return (
        excesses[above - 1] if above else None,
        excesses[below] if below < len(excesses) else None,
    )


def _ratio(incumbent: Interval, candidate: Interval) -> Interval:
    return (
        candidate[0] / incumbent[1] - 1 if candidate[0] and incumbent[1] else None,
        candidate[1] / incumbent[0] - 1 if candidate[1] and incumbent[0] else None,
    )


def _difference(incumbent: Interval, candidate: Interval) -> Interval:
    low, high = candidate
    least, most = incumbent
    return (
        None if low is None or most is None else low - most,
        None if high is None or least is None else high - least,
    )
