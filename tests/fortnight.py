"""Two weeks of the made-up platform's telemetry, drawn once for all tests of a process."""

from functools import cache

from features.calendars.days import DAY
from features.sources.simulator.platform import Platform
from features.telemetry.columns import Telemetry

# One answers within milliseconds, the other within a fifth of a second.
ENTITIES = ("order-gateway", "settlement")
START, STOP = 20_000 * DAY, 20_014 * DAY


@cache
def fortnight() -> Telemetry:
    platform = Platform(seed=0)
    return Telemetry.concat(platform.minutes(entity, START, STOP) for entity in ENTITIES)
