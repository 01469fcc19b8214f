"""The state of a service besides its demand: load, infrastructure pressure, cpu, memory, errors."""

from dataclasses import dataclass

import numpy as np

from features.calendars.days import MINUTE, minutes_of
from features.sources.simulator.capacity import workers
from features.sources.simulator.demand import requests
from features.sources.simulator.deploys import minutes_since_restart
from features.sources.simulator.draws import wander
from features.sources.simulator.incidents import Strain
from features.sources.simulator.queueing import shed
from features.sources.simulator.services import Service
from features.telemetry.columns import Floats

_TWO_DAYS = 2_880.0
_ERRORS = 2.5e-4
_MOST_ERRORS = 0.95


@dataclass(frozen=True, slots=True)
class Condition:
    load: Floats
    infra: Floats
    cpu: Floats
    memory: Floats
    error_rate: Floats


def condition(seed: int, service: Service, day: int, strain: Strain) -> Condition:
    memory = _memory(seed, service, day, strain)
    infra = _infra(seed, service, day, strain)
    load = _load(seed, service, day, strain, infra)
    cpu = np.clip(0.04 + 0.85 * np.minimum(load, 1.1) + 0.15 * infra**2, 0.0, 1.0)
    errors = _error_rate(seed, service, day, strain=strain, load=load, infra=infra)
    return Condition(load, infra, cpu, memory, errors)


def _memory(seed: int, service: Service, day: int, strain: Strain) -> Floats:
    """Fill over the days after a restart, and with a leak."""
    age = minutes_since_restart(seed, service.name, minutes_of(day))
    noise = 0.015 * wander(seed, service.name, "memory", day, keep=0.97)
    return np.clip(0.36 + 0.14 * (1 - np.exp(-age / _TWO_DAYS)) + strain.memory + noise, 0.05, 1.0)


def _infra(seed: int, service: Service, day: int, strain: Strain) -> Floats:
    """Add what incidents press to noisy neighbours, log-normal about 0.2."""
    neighbours = wander(seed, service.name, "infra", day, keep=0.98)
    fast = wander(seed, service.name, "infra fast", day, keep=0.5)
    return np.clip(0.2 * np.exp(0.34 * neighbours + 0.05 * fast) + strain.infra, 0.0, 1.0)


def _load(seed: int, service: Service, day: int, strain: Strain, infra: Floats) -> Floats:
    """Offer work: rate x mean service time / workers; slowdowns and pressure lengthen service."""
    rate = requests(seed, service, day) / MINUTE
    noise = np.exp(0.03 * wander(seed, service.name, "work", day, keep=0.9))
    seconds = service.work_ms / 1000 * (1 + strain.slowdown) * (1 + 0.3 * infra**3) * noise
    load: Floats = rate * seconds / workers(seed, service, day)
    return load


def _error_rate(
    seed: int, service: Service, day: int, *, strain: Strain, load: Floats, infra: Floats
) -> Floats:
    """Add a wandering trickle, more under pressure, what a full queue sheds, and incidents."""
    trickle = _ERRORS * np.exp(0.5 * wander(seed, service.name, "errors", day, keep=0.9))
    errors = trickle * (1 + 20 * infra**4) + 0.5 * shed(load) + strain.errors
    return np.clip(errors, 0.0, _MOST_ERRORS)
