"""Context columns: those that a policy may name besides its family's inputs and outputs.

A row may lack any of them: a limit that names one says nothing of a row without it.
"""

from collections.abc import Iterable

LAST = "last."
LAST_AGE = "last.age_seconds"
PARAMETER = "parameter."

# What the calendar of the row's entity says of the row's moment: an hour of a plan has its own.
MARKET_OPEN = "time.market_open"
FROZEN = "time.frozen"
CALENDAR = (
    "hour_of_day",
    "day_of_week",
    "is_business_hours",
    "minutes_to_open",
    "minutes_to_close",
    "is_half_day",
    "days_to_expiry",
)
TIME_COLUMNS = (MARKET_OPEN, FROZEN, *(f"time.{name}" for name in CALENDAR))


def last(field: str) -> str:
    """Name the column of what the entity was last answered."""
    return f"{LAST}{field}"


def is_parameter(column: str) -> bool:
    return column.startswith(PARAMETER) and column != PARAMETER


def is_context_column(column: str, outputs: Iterable[str]) -> bool:
    """Tell whether a family with these outputs may be given such a context column."""
    if column.startswith(LAST):
        return column == LAST_AGE or column.removeprefix(LAST) in outputs
    return column in TIME_COLUMNS or is_parameter(column)
