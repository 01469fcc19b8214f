"""What a step of a rollout is judged by, stated before its first request is answered."""

from collections.abc import Iterable
from typing import Protocol

from pydantic import Field

from models.evidence.margins import Design, Margins, Metric, Quantile, Rate
from settings.frozen import Frozen

# Beyond these ends values are told apart from nothing: no latency that matters is there.
FASTEST_MS, SLOWEST_MS = 0.05, 120_000.0
NARROWEST, WIDEST = 1e-6, 1e12
OPEN_WIDTH = 1e3 * WIDEST  # what an interval has that is open at an end; JSON has no infinity
# A fallback's answer has no interval.
MOST_WITHOUT_INTERVAL = 0.05
# Now and then a key goes from one arm to the other, by a late row or a clock that is off. Of so few
# it changes a difference of the arms by as small a part.
MOST_BY_BOTH = 0.01

ABSOLUTE = ("violation_rate", "error_rate")
RELATIVE = ("p99_ms", "interval_width")


class StatedMargin(Protocol):
    """A margin as the settings of a rollout state it: one of `relative` and `absolute`."""

    @property
    def metric(self) -> str: ...
    @property
    def relative(self) -> float | None: ...
    @property
    def absolute(self) -> float | None: ...


class Plan(Frozen):
    """One step of a rollout: who is compared, over which rows of the ledger, and how."""

    rollout: str = Field(min_length=1, max_length=64)
    step: int = Field(ge=0)
    incumbent: int = Field(description="A configuration version, as is the candidate.")
    candidate: int
    begins_ms: int = Field(
        ge=0,
        le=100_000_000_000_000,
        description="Rows of before are not counted; epoch milliseconds.",
    )
    design: Design
    margins: Margins
    family: str = Field("", description="Only the rows of this family; empty for all.")
    names_families: bool = Field(
        False, description="Whether a good verdict says of which families' rows together it is."
    )
    stateful: tuple[str, ...] = Field(
        (), description="Families whose rows go by the tag that their decisions' ids end with."
    )
    without_interval: tuple[str, ...] = Field(
        (), description="Families whose models claim none: their rows have no interval's width."
    )
    weakened: tuple[str, ...] = Field(
        (),
        description="By how much less it is judged than the platform's settings asked for then, in "
        "words; empty where by no less.",
    )


def margins_of(
    stated: Iterable[StatedMargin], alpha: float, steps: int, *, grouped: bool
) -> Margins:
    """Make the margins of one step: each of a rollout's steps has an equal part of its alpha."""
    return Margins(
        metrics=tuple(_metric(each) for each in stated),
        alpha=alpha / steps,
        grouped=grouped,
        most_by_both=MOST_BY_BOTH,
    )


def _metric(stated: StatedMargin) -> Metric:
    name = stated.metric
    if stated.absolute is not None and name in ABSOLUTE:
        return Rate(name=name, margin=stated.absolute)
    if stated.relative is not None and name == "p99_ms":
        margin = stated.relative
        return Quantile(name=name, p=0.99, margin=margin, low=FASTEST_MS, high=SLOWEST_MS)
    if stated.relative is not None and name == "interval_width":
        return Quantile(
            name=name,
            p=0.5,
            margin=stated.relative,
            low=NARROWEST,
            high=WIDEST,
            most_missing=MOST_WITHOUT_INTERVAL,
        )
    raise ValueError(
        f"There is no test for the margin of {name!r}: a rollout is judged by "
        f"{', '.join(ABSOLUTE)} with an absolute margin, and by {', '.join(RELATIVE)} with a "
        "relative one."
    )
