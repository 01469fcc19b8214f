"""One service's telemetry over one UTC day."""

from functools import lru_cache

import numpy as np

from features.calendars.days import DAY, MINUTE, MINUTES_A_DAY, minutes_of
from features.calendars.phases import phases
from features.sources.simulator.capacity import workers
from features.sources.simulator.condition import Condition, condition
from features.sources.simulator.demand import requests
from features.sources.simulator.deploys import baseline_shift, deploys_between
from features.sources.simulator.draws import generator, wander
from features.sources.simulator.expectation import growth
from features.sources.simulator.incidents import Strain, strain
from features.sources.simulator.latency import LatencyLaw, exemplars, latency_law, published
from features.sources.simulator.queueing import waiting
from features.sources.simulator.regimes import regime_at
from features.sources.simulator.services import Service
from features.telemetry.columns import Labels, Telemetry

_UNSEEN = 0.04  # what moves latency and no feature shows: logarithm, standard deviation


# A day takes 0.7 MB. Reading live needs a day of each service, and reading in slices a few.
@lru_cache(maxsize=32)
def telemetry_of_day(seed: int, service: Service, day: int) -> Telemetry:
    """Give all 1,440 minutes; shared between callers, so copy before you change it."""
    ts = minutes_of(day)
    under = strain(seed, service.name, ts)
    arrived, state = requests(seed, service, day), condition(seed, service, day, under)
    law = _law(seed, service, day, state, under)
    shown = published(law, arrived, generator(seed, service.name, "published", day))
    return Telemetry(
        ts=ts,
        entity=np.full(MINUTES_A_DAY, service.name),
        request_rate=arrived / MINUTE,
        error_rate=state.error_rate,
        load=state.load,
        infra=state.infra,
        cpu=state.cpu,
        memory=state.memory,
        queue_depth=arrived / MINUTE * service.base_ms / 1000 * waiting(state.load),
        active_workers=workers(seed, service, day),
        p50_ms=shown[:, 0],
        p95_ms=shown[:, 1],
        p99_ms=shown[:, 2],
        p999_ms=shown[:, 3],
        exemplars=exemplars(law, generator(seed, service.name, "exemplars", day)),
        session=phases(service.exchange, ts),
        regime=regime_at(seed, service.exchange, ts),
        deploy=_deploys(seed, service, day),
        incident=under.label,
    )


def _law(seed: int, service: Service, day: int, state: Condition, under: Strain) -> LatencyLaw:
    normal = service.rate * growth(service, day)
    relative = requests(seed, service, day) / MINUTE / normal
    unseen = _UNSEEN * wander(seed, service.name, "latency", day, keep=0.9)
    version = baseline_shift(seed, service.name, minutes_of(day))
    return latency_law(service, state, relative, unseen + version + under.hidden)


def _deploys(seed: int, service: Service, day: int) -> Labels:
    began = np.zeros(MINUTES_A_DAY, dtype=np.int8)
    for deploy in deploys_between(seed, service.name, day * DAY, (day + 1) * DAY):
        began[(deploy.start - day * DAY) // MINUTE] = 1
    return began
