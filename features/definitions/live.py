"""The features that models read: the newest interval's, and what is normal for the entity."""

from features.definitions.definition import DAY, HOUR, Baseline, Definition, Kind, Live

# A whole week, so that every baseline has the same share of weekends.
TRAILING_DAYS = 7
# An interval that began longer ago is no present one: it is of the past, and no feature shows it.
PRESENT_SECONDS = DAY
# A minute is known a minute after it began, and read some seconds later: by then the one before is
# up to 125 s old, and only one that is missing altogether is worth a mark.
LIVE_TTL = 180.0


def _live(name: str, unit: str, meaning: str, high: float, *instead: str) -> Definition:
    return Definition(
        name, Kind.REAL_TIME, unit, meaning, Live(name, instead), LIVE_TTL, low=0.0, high=high
    )


# Read off the last complete minute of telemetry.
LIVE = (
    _live(
        "load",
        "share",
        "Offered work a worker: arrival rate times service time over workers",
        1e6,
        *("cpu", "active_workers"),
    ),
    _live(
        "infra",
        "share",
        "Infrastructure pressure: CPU steal, memory, disk and network in one",
        1e6,
    ),
    _live("request_rate", "requests/s", "Requests that arrived in the minute", 1e15),
    _live("error_rate", "share", "Share of the minute's requests that failed", 1.0),
    _live("active_workers", "workers", "Workers that took requests in the minute", 1e9),
)


def _normal(computed: Baseline, unit: str, meaning: str) -> Definition:
    name, ttl = computed.measure, 2.0 * HOUR
    return Definition(name, Kind.BATCH, unit, meaning, computed, ttl, low=0.0, high=1e15)


# Read off the trailing days, so that a service is compared with itself.
_WEEK = TRAILING_DAYS * DAY
NORMAL = (
    _normal(
        Baseline("baseline_ms", ("p50_ms",), _WEEK, HOUR),
        "ms",
        "Median of the minutes' median latency over the trailing days",
    ),
    _normal(
        Baseline("baseline_rate", ("request_rate",), _WEEK, HOUR),
        "requests/s",
        "Rate at which the same days' median request arrived",
    ),
)
FEATURES = LIVE + NORMAL
NAMES = tuple(feature.name for feature in FEATURES)
