"""How long requests take: a log-normal body that passes into a Pareto tail.

With z0 where the hazard of the normal law equals sigma x alpha, so that body and tail meet with
equal density,
    Q(u) = scale e^(sigma z(u))                                     for u <= Phi(z0)
    Q(u) = scale e^(sigma z0) ((1 - u) / (1 - Phi(z0)))^(-1/alpha)  above.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from features.sources.simulator.condition import Condition
from features.sources.simulator.queueing import waiting
from features.sources.simulator.services import Service
from features.telemetry.columns import EXEMPLARS, Floats

LEVELS = (0.5, 0.95, 0.99, 0.999)

_HEAVIEST_TAIL = 2.05  # a second moment is kept, as time-outs keep it
_Z = np.linspace(-6.0, 8.0, 2_801)
_HAZARD = np.exp(-(_Z**2) / 2 - log_ndtr(-_Z)) / np.sqrt(2 * np.pi)
_EDGE = 1e-12


@dataclass(frozen=True, slots=True)
class LatencyLaw:
    """One law a minute."""

    scale: Floats
    """Milliseconds."""
    sigma: Floats
    tail_index: Floats

    def quantile(self, u: Floats) -> Floats:
        """Find the latency at probability u, which has a row a minute and any number of columns."""
        scale, sigma, alpha = (v[:, None] for v in (self.scale, self.sigma, self.tail_index))
        z0 = np.interp(sigma * alpha, _HAZARD, _Z)
        inside = np.clip(u, _EDGE, 1 - _EDGE)
        body = sigma * np.minimum(ndtri(inside), z0)
        tail = np.log(np.minimum((1 - inside) / ndtr(-z0), 1.0)) / alpha
        latency: Floats = scale * np.exp(body - tail)
        return latency


def latency_law(
    service: Service, state: Condition, relative: Floats, log_shift: Floats
) -> LatencyLaw:
    """Let latency follow the state; stress fattens the tail.

    scale = base (1 + wait(load)) (1 + 4 infra^4) (1 + 3 errors) (1 + cold) e^shift; `relative` is
    the request rate over the service's normal one: a service nobody asks has cold caches.
    """
    wait = waiting(state.load)
    cold = 0.15 * np.exp(-relative / 0.05)
    strained = (1 + wait) * (1 + 4 * state.infra**4) * (1 + 3 * state.error_rate) * (1 + cold)
    stress = np.clip(wait / (4 + wait) + state.infra**4 + 2 * state.error_rate, 0.0, 1.0)
    return LatencyLaw(
        scale=service.base_ms * strained * np.exp(log_shift),
        sigma=service.sigma * (1 + 0.2 * stress),
        tail_index=np.maximum(service.tail_index * (1 - 0.3 * stress), _HEAVIEST_TAIL),
    )


def published(law: LatencyLaw, requests: Floats, rng: np.random.Generator) -> Floats:
    """Draw the p50, p95, p99 and p99.9 that a minute of n requests shows, but not the requests.

    The k-th smallest of n uniforms, for several k at once, is a sum of Gamma(k), Gamma(k' - k) ...
    over the sum of all n + 1 exponential gaps (Devroye 1986, chapter V); Q maps it to a latency.
    """
    ranks = np.ceil(np.outer(requests, LEVELS))
    gaps = np.diff(ranks, prepend=0, append=requests[:, None] + 1, axis=1)
    sums = rng.standard_gamma(gaps).cumsum(axis=1)
    return law.quantile(sums[:, :-1] / sums[:, -1:])


def exemplars(law: LatencyLaw, rng: np.random.Generator) -> Floats:
    """Draw the latencies of a few requests of each minute, independently."""
    return law.quantile(rng.random((len(law.scale), EXEMPLARS)))
