"""One simulated rollout, judged after every request: which metrics became bad or good, and when."""

from dataclasses import dataclass

import numpy as np

from benchmarks.evidence.crossing import (
    NEVER,
    ArmsQuantilePath,
    PairsQuantilePath,
    Path,
    RatePath,
    arms_counts,
    first_crossing,
    pair_counts,
)
from benchmarks.evidence.traffic import Floats, Ints, Traffic
from models.evidence.groups import group_of, weights_of
from models.evidence.keys_test import KeysTest
from models.evidence.margins import Design, Margins, Mean, Metric, Quantile, Rate
from models.evidence.quantiles import ArmsQuantile, PairsQuantile
from models.evidence.rates import PairsRate, bad_bank, good_bank
from models.evidence.slices import slices_of
from models.evidence.thresholds import cells


@dataclass(frozen=True)
class Found:
    """The number of requests after which each metric was bad or good; NEVER if it was not."""

    bad: dict[str, int]
    good: dict[str, int]

    @property
    def rolled_back(self) -> int:
        return min((at for at in self.bad.values() if at != NEVER), default=NEVER)

    @property
    def promoted(self) -> int:
        return NEVER if NEVER in self.good.values() else max(self.good.values())


def judge(traffic: Traffic, margins: Margins, design: Design) -> Found:
    """Play the requests; what a real trial would keep and say, without a look being left out."""
    order, weights, looks = _in_groups(traffic, margins)
    limits = -float(np.log(margins.bad_alpha)), -float(np.log(margins.good_alpha))
    candidate = traffic.candidate[order]
    keys = [str(key) for key in traffic.key[order]]
    slices = None if design.paired else slices_of(keys, candidate, design.share)
    found: list[dict[str, int]] = [{}, {}]
    for metric in margins.metrics:
        one, other = (arm[order] for arm in getattr(traffic, metric.name))
        paths = (
            _of_pairs(metric, one, other)
            if slices is None
            else _of_arms(metric, one, other, candidate, weights, design.share)
        )
        first_cell = _first_cell(metric, one)
        crossings = [
            first_crossing(path, limit, looks, first_cell)
            for path, limit in zip(paths, limits, strict=True)
        ]
        if slices is not None and any(each != NEVER for each in crossings):
            test = KeysTest(metric, design.share, limits)
            values = np.where(candidate, other, one)
            by_keys = _by_keys(test, slices, candidate, values, weights, looks)
            crossings = [
                NEVER if NEVER in both else max(both)
                for both in zip(crossings, by_keys, strict=True)
            ]
        for into, at in zip(found, crossings, strict=True):
            into[metric.name] = at
    return Found(*found)


def _by_keys(
    test: KeysTest,
    slices: Ints,
    candidate: np.ndarray,
    values: Floats,
    weights: Floats,
    looks: Ints,
) -> tuple[int, int]:
    """Give the numbers of requests after which the test by keys was bad, and good."""
    seen = np.cumsum(weights)[looks]
    bad = good = NEVER
    at = begin = 0
    while at < looks.size and NEVER in {bad, good}:
        at = max(at, int(np.searchsorted(seen, test.slices.next_check - 1e-9)))
        if at >= looks.size:
            break
        end = int(looks[at]) + 1
        here = slice(begin, end)
        test.add(slices[here], candidate[here], values[here], weights[here])
        evidence = test.look()
        bad = end if bad == NEVER and evidence.is_bad else bad
        good = end if good == NEVER and evidence.is_good else good
        at, begin = at + 1, end
    return bad, good


def _in_groups(traffic: Traffic, margins: Margins) -> tuple[Ints, Floats, Ints]:
    """Order the requests so that those of a group follow each other; a look is after each."""
    size = traffic.key.size
    if not margins.grouped:
        return np.arange(size), np.ones(size), np.arange(size)
    group = group_of([str(key) for key in traffic.key], traffic.minute, traffic.candidate)
    order = np.lexsort((group, traffic.minute))
    ordered = group[order]
    ends = np.flatnonzero(np.concatenate([ordered[1:] != ordered[:-1], [True]]))
    return order, weights_of(ordered, size), ends


def _of_arms(
    metric: Metric, one: Floats, other: Floats, candidate: np.ndarray, weights: Floats, share: float
) -> tuple[Path, Path]:
    match metric:
        case Rate(margin=margin):
            hits = np.where(candidate, other, one)
            return (
                RatePath(bad_bank(margin, share), arms_counts(~candidate, hits, weights)),
                RatePath(good_bank(margin, share), arms_counts(candidate, hits, weights)),
            )
        case Quantile(margin=margin):
            test = ArmsQuantile(metric, share)
            found = cells(test.edges, np.where(candidate, other / (1 + margin), one))
            size = test.edges.size + 1
            return (
                ArmsQuantilePath(test.bad, ~candidate, found, size, weights, for_good=False),
                ArmsQuantilePath(test.good, candidate, found, size, weights, for_good=True),
            )
        case Mean():
            raise ValueError(f"{metric.name}: this bench has no means")


def _of_pairs(metric: Metric, one: Floats, other: Floats) -> tuple[Path, Path]:
    match metric:
        case Rate(margin=margin):
            test = PairsRate(margin)
            counts = pair_counts(one, other)
            return RatePath(test.bad, counts), RatePath(test.good, counts)
        case Quantile(margin=margin):
            pairs = PairsQuantile(metric)
            a, b = cells(pairs.edges, one), cells(pairs.edges, other / (1 + margin))
            size = pairs.edges.size + 1
            return (
                PairsQuantilePath(pairs.bank, a, b, size, for_good=False),
                PairsQuantilePath(pairs.bank, b, a, size, for_good=True),
            )
        case Mean():
            raise ValueError(f"{metric.name}: this bench has no means")


def _first_cell(metric: Metric, one: Floats) -> int:
    """Begin near the truth, where the evidence is low; with any other cell it is found as well."""
    if not isinstance(metric, Quantile):
        return 0
    edges = ArmsQuantile(metric, 0.5).edges
    return int(cells(edges, np.quantile(one, [metric.p]))[0])
