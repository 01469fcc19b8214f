"""What a look at a trial says: three verdicts, and for each metric the evidence behind them."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

Interval = tuple[float | None, float | None]
"""Ends between which the true value lies; none where nothing is known of an end."""


class Verdict(StrEnum):
    GOOD = "good"  # shown to be no worse than every margin
    BAD = "bad"  # shown to be worse than a margin
    UNKNOWN = "unknown"  # neither: never a reason to go on


@dataclass(frozen=True, slots=True)
class ArmSeen:
    """One arm's requests as one metric sees them, and where the metric's true value must lie."""

    values: float  # in observations: those of a group count as one
    missing: int  # requests that have no value
    interval: Interval


@dataclass(frozen=True, slots=True)
class Evidence:
    """The highest evidence so far, as a logarithm, beside what is needed of it."""

    bad: float
    bad_needed: float
    good: float
    good_needed: float

    @property
    def is_bad(self) -> bool:
        return self.bad >= self.bad_needed

    @property
    def is_good(self) -> bool:
        return self.good >= self.good_needed


@dataclass(frozen=True, slots=True)
class MetricSeen:
    """What the requests show of a metric, and whether it may be their keys' doing."""

    evidence: Evidence
    by_keys: Evidence | None  # none of pairs, of which both arms have every key
    verdict: Verdict
    reason: str
    incumbent: ArmSeen
    candidate: ArmSeen
    exists: bool  # for any request that was seen


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a whole trial."""

    verdict: Verdict
    reason: str
    metrics: dict[str, MetricSeen]
    share_evidence: float | None  # against the stated share; none of pairs
    seen_by_both: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def verdict_of(
    metrics: dict[str, MetricSeen], share_broken: bool, too_many_by_both: int
) -> tuple[Verdict, str]:
    """One bad metric is bad; good needs all metrics that requests can have, and both checks."""
    any_exists = any(seen.exists for seen in metrics.values())
    for name, seen in metrics.items():
        if seen.verdict is Verdict.BAD:
            return Verdict.BAD, f"{name}: {seen.reason}"
    if share_broken:
        return Verdict.UNKNOWN, (
            "the arms' shares of the keys are not as stated, so requests of one arm are lost or "
            "counted twice: find out why, nothing can be said of the candidate"
        )
    if too_many_by_both:
        return Verdict.UNKNOWN, (
            f"{too_many_by_both} keys were answered by both arms, so the arms cannot be told apart"
        )
    for name, seen in metrics.items():
        # What no request can have is not missing: its family has no such thing.
        if seen.verdict is Verdict.UNKNOWN and (seen.exists or not any_exists):
            return Verdict.UNKNOWN, f"{name}: {seen.reason}"
    return Verdict.GOOD, "every metric is shown to be no worse than its margin"
