"""What a trial tests, stated before its first request: metrics, margins and an error rate.

Larger is worse in every metric. A metric's margin says how much worse a candidate may be and still
be let through.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.frozen import Frozen

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class _Metric(Frozen):
    name: Name
    most_missing: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The largest share of an arm's requests without a value at which the metric "
        "may still be good. Outcomes, of which only some ever come, have 1.",
    )


class Rate(_Metric):
    """A share of requests: violations, errors. The margin is a difference of two shares."""

    kind: Literal["rate"] = "rate"
    margin: float = Field(ge=0, lt=1)


class Mean(_Metric):
    """A mean of values that lie between two known ends, such as the loss of an outcome.

    The margin is in the unit of the values. A value beyond an end is counted as that end.
    """

    kind: Literal["mean"] = "mean"
    margin: float = Field(ge=0)
    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"the mean {self.name} has no room: {self.low:g} to {self.high:g}")
        if self.margin >= self.high - self.low:
            raise ValueError(
                f"the margin {self.margin:g} of {self.name} is as large as its whole range: "
                "no candidate could be worse than that"
            )
        return self


class Quantile(_Metric):
    """A quantile of positive values: the p99 of latency, the median width of an interval.

    The margin is a factor less one: 0.05 lets the candidate's quantile be 5 % above the
    incumbent's. Values are told apart by thresholds between `low` and `high`, see thresholds.py.
    """

    kind: Literal["quantile"] = "quantile"
    p: float = Field(gt=0, lt=1)
    margin: float = Field(gt=0, le=10)
    low: float = Field(gt=0)
    high: float = Field(gt=0)

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"the quantile {self.name} has no room: {self.low:g} to {self.high:g}")
        return self


Metric = Annotated[Rate | Mean | Quantile, Field(discriminator="kind")]


class Margins(Frozen):
    """All that a trial is judged by.

    A candidate that is within every margin is called bad with a probability of at most `alpha`,
    however often and whenever somebody looks; one that is beyond a margin is called good with a
    probability of at most `alpha`.
    """

    metrics: tuple[Metric, ...] = Field(min_length=1, max_length=50)
    alpha: float = Field(0.05, gt=0, le=0.5)
    check_alpha: float = Field(
        0.001, gt=0, le=0.5, description="The error rate of the check of the sample ratio."
    )
    grouped: bool = Field(
        False,
        description="Count all requests of a key within a minute as one observation, because "
        "they depend on one another. What is judged is then of a key's minute, and not of a "
        "request: a key that is asked of a thousand times a minute counts as one that is once.",
    )
    most_by_both: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="The largest share of the keys that both arms may have answered.",
    )

    @property
    def bad_alpha(self) -> float:
        """One metric's part of alpha: one that is bad by chance is enough for a rollback."""
        return self.alpha / len(self.metrics)

    @property
    def good_alpha(self) -> float:
        """All must be good, so a bad candidate has to slip past the very metric that shows it."""
        return self.alpha

    @property
    def needed(self) -> tuple[float, float]:
        """What the evidence for bad and for good must reach, as logarithms."""
        return -math.log(self.bad_alpha), -math.log(self.good_alpha)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"two metrics have one name among {', '.join(sorted(names))}")
        return self


class Design(Frozen):
    """How the requests of a trial are answered.

    In a canary each request is answered by one arm, the candidate's share is `share`; in a paired
    trial the candidate answers the incumbent's requests too.
    """

    paired: bool = False
    share: float = Field(0.5, gt=0, lt=1)
    matched: tuple[Name, ...] = Field(
        (),
        description="Metrics of a canary that as many keys of either arm have, chosen by the hash "
        "that gives keys to the arms: those that depend on how large an arm is.",
    )
    for_all_keys: bool = Field(
        False,
        description="Whether a rate is good only by so many of the candidate's keys that keys "
        "which always fail would be among them, if they were more than the margin allows.",
    )

    def share_of(self, metric: str) -> float:
        """Give the candidate's share of the keys that have a metric."""
        return 0.5 if metric in self.matched else self.share


def fewest_keys(margin: float, needed: float) -> int:
    """Count the keys of which one at least would always fail, were such keys as many as the margin.

    The test by keys takes a margin off each slice alike. Keys that fail for good are not alike: of
    a share f of them there is none among n keys with a probability of (1 - f)^n, and that has to be
    as small as the logarithm `needed` says.
    """
    return math.ceil(needed / -math.log1p(-margin)) if margin else 0
