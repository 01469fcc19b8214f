"""What goes wrong: about one incident a week for each service, minutes to hours long.

Each kind pushes on what can be measured (demand, worker time, infrastructure pressure, errors,
memory), in proportion to its severity and to a profile over time that rises to 1 and falls again;
latency follows from those.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from features.calendars.days import MINUTE
from features.sources.simulator.draws import generator
from features.sources.simulator.weeks import WEEK, week_start, weeks_touching
from features.telemetry.columns import Floats, Ints, Texts

_A_WEEK = 1.05
_LEAK = "memory_leak"


@dataclass(frozen=True, slots=True)
class Push:
    """What an incident of a kind does at severity 1 and at its height."""

    minutes: tuple[int, int]
    flood: float = 0.0
    """Demand added, as a multiple of what the calendar expects at that hour."""
    slowdown: float = 0.0
    """Worker time added to each request, as a share."""
    infra: float = 0.0
    errors: float = 0.0
    memory: float = 0.0
    hidden: float = 0.0
    """What it adds to the logarithm of the latency beyond what can be measured."""


KINDS = {
    "infra_saturation": Push((20, 240), infra=0.62, slowdown=0.25, errors=0.01),
    "dependency_slowdown": Push((15, 180), slowdown=1.1, infra=0.25, errors=0.06, hidden=0.15),
    "error_burst": Push((6, 60), errors=0.35, slowdown=0.3, flood=0.2),
    "traffic_flood": Push((10, 120), flood=2.6, infra=0.1),
    _LEAK: Push((180, 600), memory=0.5, infra=0.6, errors=0.02, slowdown=0.2),
}
_NAMES = tuple(KINDS)
_LABELS = np.dtype(f"U{max(len(name) for name in _NAMES)}")
_LONGEST_RAMP = 8


@dataclass(frozen=True, slots=True)
class Incident:
    start: int
    stop: int
    kind: str
    severity: float
    """Between 0.4 and 1."""

    def profile(self, ts: Ints) -> Floats:
        """Share of its full force: up, level, down; a leak climbs until a restart ends it."""
        length = (self.stop - self.start) / MINUTE
        since, left = (ts - self.start) / MINUTE, (self.stop - ts) / MINUTE
        if self.kind == _LEAK:
            return np.where((since >= 0) & (left > 0), since / length, 0.0)
        ramp = min(_LONGEST_RAMP, length / 3)
        return np.clip(np.minimum((since + 1) / ramp, left / ramp), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Strain:
    """The sum of what the incidents under way do, minute by minute; fields as in Push."""

    flood: Floats
    slowdown: Floats
    infra: Floats
    errors: Floats
    memory: Floats
    hidden: Floats
    label: Texts


def incidents_between(seed: int, name: str, start: int, stop: int) -> tuple[Incident, ...]:
    """Incidents under way at some moment in [start, stop), in order of their start."""
    weeks = weeks_touching(start, stop, before=1)
    drawn = (incident for week in weeks for incident in _week(seed, name, week))
    return tuple(i for i in drawn if i.start < stop and i.stop > start)


def strain(seed: int, name: str, ts: Ints) -> Strain:
    incidents = incidents_between(seed, name, int(ts[0]), int(ts[-1]) + 1)
    label = np.full(len(ts), "", dtype=_LABELS)
    for incident in incidents:
        label[(ts >= incident.start) & (ts < incident.stop)] = incident.kind
    return Strain(
        flood=_sum(incidents, "flood", ts),
        slowdown=_sum(incidents, "slowdown", ts),
        infra=_sum(incidents, "infra", ts),
        errors=_sum(incidents, "errors", ts),
        memory=_sum(incidents, "memory", ts),
        hidden=_sum(incidents, "hidden", ts),
        label=label,
    )


def _sum(incidents: tuple[Incident, ...], push: str, ts: Ints) -> Floats:
    total = np.zeros(len(ts))
    for incident in incidents:
        total += getattr(KINDS[incident.kind], push) * incident.severity * incident.profile(ts)
    return total


@lru_cache(maxsize=4096)
def _week(seed: int, name: str, week: int) -> tuple[Incident, ...]:
    rng = generator(seed, name, "incidents", week)
    minutes = np.sort(rng.integers(0, WEEK // MINUTE, size=int(rng.poisson(_A_WEEK))))
    return tuple(_incident(rng, week_start(week) + int(minute) * MINUTE) for minute in minutes)


def _incident(rng: np.random.Generator, start: int) -> Incident:
    kind = _NAMES[int(rng.integers(len(_NAMES)))]
    shortest, longest = KINDS[kind].minutes
    minutes = round(shortest * math.exp(rng.random() * math.log(longest / shortest)))
    return Incident(start, start + minutes * MINUTE, kind, float(rng.uniform(0.4, 1.0)))
