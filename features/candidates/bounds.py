"""How far a new version may be from the one in force and take its place by itself."""

from pydantic import Field

from settings.frozen import Frozen


class CandidateBounds(Frozen):
    """The bounds, as data of the configuration."""

    intervals: int = Field(
        60, ge=10, le=1440, description="Of so many latest intervals the numbers are compared."
    )
    least_entities: float = Field(
        0.9, ge=0, le=1, description="Which share of the entities it has to give as well."
    )
    least_rows: float = Field(
        0.8, ge=0, le=1, description="Which share of the rows of an interval, at least."
    )
    most_rows: float = Field(2.0, ge=1, description="How many times as many rows, at most.")
    most_size: float = Field(
        3.0, ge=1, description="How many times as many bytes an interval, or as few, at most."
    )
    most_nulls: float = Field(
        0.1, ge=0, le=1, description="How much a metric's share of missing numbers may grow."
    )
    most_ratio: float = Field(
        2.0, ge=1, description="How many times larger or smaller a metric's median may be."
    )
    most_tail_ratio: float = Field(
        5.0, ge=1, description="The same of its quantiles 0.05 and 0.95."
    )
    may_lose: bool = Field(
        default=False, description="Whether something that gave numbers may be left out."
    )
