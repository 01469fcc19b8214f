"""Which features the platform keeps for an entity, in which unit, and what they mean."""

from typing import NamedTuple


class Feature(NamedTuple):
    name: str
    unit: str
    meaning: str


# Read off the last complete minute of telemetry.
LIVE = (
    Feature("load", "share", "Offered work a worker: arrival rate times service time over workers"),
    Feature(
        "infra", "share", "Infrastructure pressure: CPU steal, memory, disk and network in one"
    ),
    Feature("request_rate", "requests/s", "Requests that arrived in the minute"),
    Feature("error_rate", "share", "Share of the minute's requests that failed"),
    Feature("active_workers", "workers", "Workers that took requests in the minute"),
)
# Read off the trailing days, so that a service is compared with itself.
NORMAL = (
    Feature("baseline_ms", "ms", "Median of the minutes' median latency over the trailing days"),
    Feature("baseline_rate", "requests/s", "Rate at which the same days' median request arrived"),
)
FEATURES = LIVE + NORMAL
NAMES = tuple(feature.name for feature in FEATURES)

# A whole week, so that every baseline has the same share of weekends.
TRAILING_DAYS = 7
