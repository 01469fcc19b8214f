"""The features that this release ships beside those that models read."""

from typing import NamedTuple

from features.definitions.definition import (
    DAY,
    HOUR,
    MINUTE,
    Calendar,
    CalendarFunction,
    Definition,
    Judged,
    Kind,
    Live,
    Statistic,
    Window,
)
from features.definitions.expression import parse
from features.definitions.live import FEATURES, LIVE_TTL


class Span(NamedTuple):
    """How far a window reaches back, and how often it is computed."""

    name: str
    seconds: int
    step_seconds: int


SPANS = (Span("1h", HOUR, MINUTE), Span("24h", DAY, 10 * MINUTE), Span("7d", 7 * DAY, HOUR))

# Column, unit, upper bound.
_ROLLED = (
    ("request_rate", "requests/s", 1e15),
    ("error_rate", "share", 1.0),
    ("p99_ms", "ms", 1e12),
    ("cpu", "share", 1e6),
)
_STATISTICS: tuple[tuple[str, Statistic, float | None, str], ...] = (
    ("mean", "mean", None, "Mean"),
    ("sd", "sd", None, "Standard deviation, of the whole window as its own population,"),
    ("p95", "quantile", 0.95, "95th percentile, between neighbours by a straight line,"),
)


def _rolling() -> tuple[Definition, ...]:
    return tuple(
        Definition(
            f"{column}_{short}_{span.name}",
            Kind.BATCH,
            unit,
            f"{words} of {column} over the trailing {span.name}",
            Window(column, statistic, span.seconds, span.step_seconds, quantile),
            # One that was missed is no news; two are.
            ttl_seconds=max(2.0 * span.step_seconds, LIVE_TTL),
            low=0.0,
            high=high,
        )
        for column, unit, high in _ROLLED
        for span in SPANS
        for short, statistic, quantile, words in _STATISTICS
    )


def _calendar(
    name: CalendarFunction, unit: str, meaning: str, high: float, *, truth: bool = False
) -> Definition:
    return Definition(
        name,
        Kind.REAL_TIME,
        unit,
        meaning,
        Calendar(name),
        LIVE_TTL,
        low=0.0,
        high=high,
        type="truth" if truth else "number",
    )


_WEEKS = 21.0 * DAY / MINUTE
CALENDAR = (
    _calendar("hour_of_day", "h", "Hour of the entity's local day, 0 to 23", 23),
    _calendar("day_of_week", "d", "Day of the entity's local week, Monday is 0", 6),
    _calendar(
        "is_business_hours",
        "0/1",
        "Monday to Friday, 9:00 to 17:00 local time; of an exchange only days on which it trades",
        1,
        truth=True,
    ),
    _calendar("minutes_to_open", "min", "Until the exchange's next session opens", _WEEKS),
    _calendar("minutes_to_close", "min", "Until the exchange's next close", _WEEKS),
    _calendar(
        "is_half_day",
        "0/1",
        "The exchange's session of the local day closes early",
        1,
        truth=True,
    ),
    _calendar(
        "days_to_expiry", "d", "Local days to the next monthly expiry of options; 0 on its day", 62
    ),
)
TOPOLOGY = (
    Definition(
        "queue_depth",
        Kind.REAL_TIME,
        "requests",
        "Requests waiting for a worker, mean over the minute",
        Live("queue_depth"),
        LIVE_TTL,
        low=0.0,
        high=1e12,
    ),
)
# Of the interval before the newest one, since streams are fed when one is stored: just before the
# next it is three minutes old, and some seconds.
_JUDGED_TTL = 240.0
JUDGED = (
    Definition(
        "anomaly_score",
        Kind.REAL_TIME,
        "share",
        "How unlike its past the oddest metric was, 1 minus its p-value, which is of as many looks "
        "as there are metrics",
        Judged("anomaly_score"),
        _JUDGED_TTL,
        low=0.0,
        high=1.0,
    ),
    Definition(
        "regime_change",
        Kind.REAL_TIME,
        "share",
        "The probability that the regime of a metric has just changed, of the likeliest one",
        Judged("regime_change"),
        _JUDGED_TTL,
        low=0.0,
        high=1.0,
    ),
    Definition(
        "regime_minutes",
        Kind.REAL_TIME,
        "min",
        "How long the present regime has lasted, of the metric that changed last",
        Judged("regime_minutes"),
        _JUDGED_TTL,
        low=0.0,
        high=1e9,
    ),
)
DERIVED = (
    Definition(
        "load_score",
        Kind.DERIVED,
        "share",
        "How busy the entity is, 0 to 1: half its load, three tenths its infrastructure, a fifth "
        "its rate beside the normal one, which counts up to twice the normal",
        parse(
            "min(1, max(0, 0.5 * min(load, 1) + 0.3 * min(infra, 1)"
            " + 0.2 * min(request_rate / baseline_rate, 2) / 2))"
        ),
        low=0.0,
        high=1.0,
    ),
)
SHIPPED = (*FEATURES, *TOPOLOGY, *_rolling(), *CALENDAR, *JUDGED, *DERIVED)
