"""One metric of a trial: its test, what is missing of it, and the highest evidence so far."""

from math import inf
from typing import Any, Self

import numpy as np

from models.evidence.bets import Floats
from models.evidence.excess import Test, excess_of
from models.evidence.groups import averages, weights_of
from models.evidence.keys_test import KeysTest
from models.evidence.margins import Design, Margins, Mean, Metric, Quantile, Rate, fewest_keys
from models.evidence.means import ArmsMean, PairsMean
from models.evidence.quantiles import ArmsQuantile, PairsQuantile
from models.evidence.rates import ArmsRate, PairsRate
from models.evidence.sequences import quantile_interval, share_interval
from models.evidence.verdict import ArmSeen, Evidence, Interval, MetricSeen, Verdict
from models.protocols import BoolArray, IntArray


class MetricTest:
    """Takes a metric's values, NaN where one is missing."""

    def __init__(self, metric: Metric, margins: Margins, design: Design) -> None:
        self.metric = metric
        self._margins = margins
        self._test = _test_of(metric, margins, design)
        self._needed = margins.needed
        share = design.share_of(metric.name)
        self._keys = None if design.paired else KeysTest(metric, share, self._needed)
        self._fewest_keys = _fewest_keys(metric, design, self._needed[1])
        self._values = np.zeros(2)
        self._requests, self._missing = np.zeros(2), np.zeros(2)
        self._highest = np.zeros(2)  # for bad, for good: nobody has won anything yet

    def add_requests(
        self, candidate: BoolArray, values: Floats, slices: IntArray, groups: IntArray | None
    ) -> None:
        """Take requests of which each was answered by one arm, for a key of that slice."""
        here = ~np.isnan(values)
        for arm, chosen in enumerate((~candidate, candidate)):
            self._requests[arm] += chosen.sum()
            self._missing[arm] += (chosen & ~here).sum()
        arms, values = candidate[here], values[here]
        groups = None if groups is None else groups[here]
        weights = weights_of(groups, values.size)
        for arm, chosen in enumerate((~arms, arms)):
            self._values[arm] += weights[chosen].sum()
        if self._keys is not None:
            self._keys.add(slices[here], arms, values, weights)
        match self._test:
            case ArmsRate() | ArmsQuantile() as test:
                test.add(arms, values, weights)
            case ArmsMean() as test:
                of_group, means = averages(groups, arms.astype(np.float64), values)
                test.add(of_group > 0, means)

    def add_pairs(self, incumbent: Floats, candidate: Floats, groups: IntArray | None) -> None:
        """Take requests that both arms answered; a pair lacks a value where either does."""
        here = ~(np.isnan(incumbent) | np.isnan(candidate))
        self._requests += here.size
        self._missing += np.isnan(incumbent).sum(), np.isnan(candidate).sum()
        a, b = incumbent[here], candidate[here]
        groups = None if groups is None else groups[here]
        weights = weights_of(groups, a.size)
        self._values += weights.sum()
        match self._test:
            case PairsRate() | PairsQuantile() as test:
                test.add(a, b, weights)
            case PairsMean() as test:
                a, b = averages(groups, a, b)
                test.add(a, b)

    def look(self, candidates_keys: float = inf) -> MetricSeen:
        """Judge the metric by the highest evidence that any look has found."""
        self._highest = np.maximum(self._highest, self._test.log_evidence())
        bad, good = self._highest.tolist()
        evidence = Evidence(bad, self._needed[0], good, self._needed[1])
        by_keys = None if self._keys is None else self._keys.look()
        verdict, reason = self._judge(evidence, by_keys, candidates_keys)
        exists = bool(self._requests.any())
        return MetricSeen(evidence, by_keys, verdict, reason, *self._arms_seen(), exists)

    def excess(self) -> Interval:
        """Bound how much worse the candidate is, as far as looks have shown it by now."""
        if not self._values.all():
            return None, None
        arms = self._interval(0), self._interval(1)
        lower, upper = excess_of(self._test, self.metric, self._needed, arms)
        # What a look has shown of the margin itself stays shown.
        bad, good = (self._highest >= self._needed).tolist()
        margin = self.metric.margin
        if bad:
            lower = margin if lower is None else max(lower, margin)
        if good:
            upper = margin if upper is None else min(upper, margin)
        return lower, upper

    def _judge(
        self, evidence: Evidence, by_keys: Evidence | None, candidates_keys: float
    ) -> tuple[Verdict, str]:
        if evidence.is_bad and (by_keys is None or by_keys.is_bad):
            return Verdict.BAD, "the candidate is worse by more than the margin"
        if lacking := self._lacking():
            return Verdict.UNKNOWN, lacking
        if evidence.is_good and candidates_keys < self._fewest_keys:
            return Verdict.UNKNOWN, (
                "no more of the candidate's requests have it than the margin allows, but of its "
                f"{candidates_keys:,.0f} keys none may be of those that always do: it needs "
                f"{self._fewest_keys:,} keys, or a shadow"
            )
        if evidence.is_good and (by_keys is None or by_keys.is_good):
            return Verdict.GOOD, "the candidate is not worse by more than the margin"
        if evidence.is_bad or evidence.is_good:
            seems = "worse" if evidence.is_bad else "no worse"
            return Verdict.UNKNOWN, (
                f"the candidate's requests are {seems} by more than the margin, but that may be "
                "due to the keys that it was given: it needs more of them, or a shadow"
            )
        return Verdict.UNKNOWN, "there is not enough evidence yet"

    def _lacking(self) -> str:
        """Say which values the metric lacks; empty where it has enough of them."""
        if not self._requests.any():
            return "no request of this step can have it"
        if not self._values.all():
            return "an arm has no value of it yet"
        share = self._missing / self._requests
        if (share <= self.metric.most_missing).all():
            return ""
        return (
            f"{share.max():.2%} of an arm's requests have no value of it, and at most "
            f"{self.metric.most_missing:.2%} may lack one: what is missing is not known to be good"
        )

    def _arms_seen(self) -> tuple[ArmSeen, ArmSeen]:
        incumbent, candidate = (
            ArmSeen(float(self._values[arm]), int(self._missing[arm]), self._interval(arm))
            for arm in (0, 1)
        )
        return incumbent, candidate

    def _interval(self, arm: int) -> Interval:
        if not self._values[arm]:
            return None, None
        alpha = self._margins.bad_alpha
        match self._test, self.metric:
            case (ArmsRate() as test, Rate()):
                hits, misses = test.counts[arm].tolist()
                return share_interval(hits, misses, alpha)
            case (PairsRate() as test, Rate()):
                hits = float(test.hits[arm])
                return share_interval(hits, float(self._values[arm]) - hits, alpha)
            case (ArmsQuantile() | PairsQuantile() as test, Quantile(p=p, margin=margin)):
                ends = quantile_interval(test.edges, test.histograms[arm], p, alpha)
                factor = 1 + margin if arm else 1.0
                lower, upper = (None if end is None else end * factor for end in ends)
                return lower, upper
            case (ArmsMean() | PairsMean() as test, Mean(low=low, high=high)):
                ends = test.arms[arm].interval(alpha)
                return low + ends[0] * (high - low), low + ends[1] * (high - low)
        raise AssertionError(self.metric)  # a metric has the test of its kind

    def to_json(self) -> dict[str, Any]:
        return {
            "test": self._test.to_json(),
            "values": self._values.tolist(),
            "requests": self._requests.tolist(),
            "missing": self._missing.tolist(),
            "highest": self._highest.tolist(),
            "keys": None if self._keys is None else self._keys.to_json(),
        }

    def restore(self, kept: dict[str, Any]) -> Self:
        self._test.restore(kept["test"])
        self._values, self._requests = np.array(kept["values"]), np.array(kept["requests"])
        self._missing, self._highest = np.array(kept["missing"]), np.array(kept["highest"])
        if self._keys is not None:
            self._keys.restore(kept["keys"])
        return self


def _fewest_keys(metric: Metric, design: Design, needed: float) -> int:
    if not design.for_all_keys or not isinstance(metric, Rate):
        return 0
    return fewest_keys(metric.margin, needed)


def _test_of(metric: Metric, margins: Margins, design: Design) -> Test:
    share = design.share_of(metric.name)
    match metric:
        case Rate(margin=margin):
            return PairsRate(margin) if design.paired else ArmsRate(margin, share)
        case Quantile():
            return PairsQuantile(metric) if design.paired else ArmsQuantile(metric, share)
        case Mean():
            alpha = margins.bad_alpha
            return PairsMean(metric, alpha) if design.paired else ArmsMean(metric, alpha)
