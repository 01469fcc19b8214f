"""A trial of a candidate against an incumbent: takes requests as they come, may be asked any time.

What it keeps does not grow with the requests, and goes through JSON unchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from models.evidence.bets import Floats
from models.evidence.exposures import Exposures
from models.evidence.groups import group_of
from models.evidence.margins import Design, Margins
from models.evidence.metric_test import MetricTest
from models.evidence.slices import slices_of
from models.evidence.verdict import Interval, Seen, verdict_of
from models.protocols import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of a canary, each answered by one arm. NaN says that a value is missing.

    A metric that `exists` does not name may be had by all of them.
    """

    keys: Sequence[str]
    minutes: IntArray
    candidate: BoolArray
    values: Mapping[str, Floats]
    exists: Mapping[str, BoolArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Requests that both arms answered. NaN says that a value is missing."""

    keys: Sequence[str]
    minutes: IntArray
    incumbent: Mapping[str, Floats]
    candidate: Mapping[str, Floats]
    exists: Mapping[str, BoolArray] = field(default_factory=dict)


class Trial:
    """The tests of one step of a rollout."""

    def __init__(self, margins: Margins, design: Design) -> None:
        self.margins, self.design = margins, design
        self._tests = [MetricTest(metric, margins, design) for metric in margins.metrics]
        self._exposures = Exposures(design.share)
        self._share_evidence = 0.0

    def add(self, seen: Requests | Pairs) -> None:
        """Take more requests; a metric that they do not name is missing in all of them."""
        if isinstance(seen, Pairs) is not self.design.paired:
            raise TypeError(
                f"a {'paired' if self.design.paired else 'canary'} trial takes no "
                f"{type(seen).__name__}"
            )
        if not seen.keys:
            return
        if isinstance(seen, Pairs):
            self._add_pairs(seen)
        else:
            self._add_requests(seen)

    def _add_requests(self, seen: Requests) -> None:
        self._exposures.add(seen.keys, seen.candidate.tolist())
        self._share_evidence = max(self._share_evidence, self._exposures.log_evidence())
        groups = self._groups(seen, seen.candidate)
        slices = {
            share: slices_of(seen.keys, seen.candidate, share)
            for share in {self.design.share_of(test.metric.name) for test in self._tests}
        }
        nothing = np.full(len(seen.keys), np.nan)
        for test in self._tests:
            name = test.metric.name
            values, here = seen.values.get(name, nothing), _rows(seen, name)
            found = slices[self.design.share_of(name)][here]
            test.add_requests(seen.candidate[here], values[here], found, _of(groups, here))

    def _add_pairs(self, seen: Pairs) -> None:
        groups = self._groups(seen, None)
        nothing = np.full(len(seen.keys), np.nan)
        for test in self._tests:
            name = test.metric.name
            here = _rows(seen, name)
            incumbent, candidate = (
                arm.get(name, nothing)[here] for arm in (seen.incumbent, seen.candidate)
            )
            test.add_pairs(incumbent, candidate, _of(groups, here))

    def _groups(self, seen: Requests | Pairs, candidate: BoolArray | None) -> IntArray | None:
        return group_of(seen.keys, seen.minutes, candidate) if self.margins.grouped else None

    def look(self) -> Seen:
        """Say what is known by now. Looking costs nothing of the error rate."""
        keys = self._exposures.candidates_keys()
        metrics = {test.metric.name: test.look(keys) for test in self._tests}
        needed = -float(np.log(self.margins.check_alpha))
        twice = self._exposures.seen_by_both
        too_many = self._exposures.too_many_by_both(self.margins.most_by_both)
        verdict, reason = verdict_of(
            metrics, self._share_evidence >= needed, twice if too_many else 0
        )
        share_evidence = None if self.design.paired else self._share_evidence
        return Seen(verdict, reason, metrics, share_evidence, twice)

    def excess(self) -> dict[str, Interval]:
        """Bound how much worse the candidate is in each metric; this takes longer than a look."""
        return {test.metric.name: test.excess() for test in self._tests}

    def to_json(self) -> dict[str, Any]:
        return {
            "margins": self.margins.model_dump(mode="json"),
            "design": self.design.model_dump(mode="json"),
            "tests": {test.metric.name: test.to_json() for test in self._tests},
            "exposures": self._exposures.to_json(),
            "share_evidence": self._share_evidence,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Go on where a trial was written down."""
        trial = cls(Margins.model_validate(kept["margins"]), Design.model_validate(kept["design"]))
        for test in trial._tests:
            test.restore(kept["tests"][test.metric.name])
        trial._exposures.restore(kept["exposures"])
        trial._share_evidence = kept["share_evidence"]
        return trial


def _rows(seen: Requests | Pairs, metric: str) -> BoolArray:
    """Tell which requests can have a metric."""
    return seen.exists.get(metric, np.ones(len(seen.keys), dtype=np.bool_))


def _of(groups: IntArray | None, rows: BoolArray) -> IntArray | None:
    return None if groups is None else groups[rows]
