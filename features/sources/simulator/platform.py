"""The made-up platform as a source: minutes of any range, the latest one, and the truth."""

import math
from dataclasses import dataclass

from features.calendars.days import DAY, MINUTE
from features.sources.simulator.day import telemetry_of_day
from features.sources.simulator.deploys import Deploy, deploys_between
from features.sources.simulator.incidents import Incident, incidents_between
from features.sources.simulator.regimes import RegimeChange, regime_changes
from features.sources.simulator.services import DEFAULT_SERVICES, Service
from features.telemetry.columns import Telemetry


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened to an entity: incidents under way, deploys begun, changes of regime."""

    incidents: tuple[Incident, ...]
    deploys: tuple[Deploy, ...]
    regimes: tuple[RegimeChange, ...]


@dataclass(frozen=True, slots=True)
class Platform:
    """A trading platform of a few services; equal seeds make equal platforms, in any process."""

    seed: int
    services: tuple[Service, ...] = DEFAULT_SERVICES

    def __post_init__(self) -> None:
        if len(set(self.entities)) != len(self.services):
            raise ValueError(f"two services have the same name: {', '.join(self.entities)}")

    @property
    def entities(self) -> tuple[str, ...]:
        return tuple(service.name for service in self.services)

    def minutes(self, entity: str, start: int, stop: int) -> Telemetry:
        """Report the minutes that begin in [start, stop), epoch seconds, in arrays of your own."""
        service, days = self._service(entity), range(start // DAY, -(-stop // DAY))
        parts = (telemetry_of_day(self.seed, service, day) for day in days)
        return Telemetry.concat(_cut(part, start, stop) for part in parts)

    def live(self, entity: str, now: float) -> Telemetry:
        """Report the latest minute that is over at `now`."""
        stop = math.floor(now / MINUTE) * MINUTE
        return self.minutes(entity, stop - MINUTE, stop)

    def truth(self, entity: str, start: int, stop: int) -> Truth:
        service = self._service(entity)
        return Truth(
            incidents=incidents_between(self.seed, service.name, start, stop),
            deploys=deploys_between(self.seed, service.name, start, stop),
            regimes=regime_changes(self.seed, service.exchange, start, stop),
        )

    def _service(self, entity: str) -> Service:
        for service in self.services:
            if service.name == entity:
                return service
        raise LookupError(
            f"there is no entity {entity!r}; the entities are: {', '.join(self.entities)}"
        )


def _cut(day: Telemetry, start: int, stop: int) -> Telemetry:
    first, last = (-(-(edge - int(day.ts[0])) // MINUTE) for edge in (start, stop))
    return day.rows(slice(max(first, 0), max(last, 0)))
