"""What is proposed for a Prometheus, and what it lacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from features.sources.prometheus.catalogue.convention import Convention
from features.sources.prometheus.catalogue.conventions import CONVENTIONS
from features.sources.rules import Mapping as Rules
from features.sources.rules import Metric, Rule

METRICS: tuple[Metric, ...] = get_args(Metric)
NAMED = 3

_ASSUMED = "a request that does not state it is answered with an assumed value, and says so"
_NO_TAIL = "no tail model can be trained on this source"
_LESS = "the tail model learns less of slow requests"
# What an answer lacks without a metric.
FOLLOWS: dict[Metric, str] = {
    "request_rate": f"no load can be forecast; {_ASSUMED}",
    "error_rate": _ASSUMED,
    "load": _ASSUMED,
    "infra": _ASSUMED,
    "cpu": "plans of capacity go by the rate and the latency alone",
    "memory": "no answer uses it yet",
    "queue_depth": "no answer uses it yet",
    "active_workers": f"plans of capacity do not know what one worker carries; {_ASSUMED}",
    "p50_ms": _NO_TAIL,
    "p95_ms": _LESS,
    "p99_ms": f"{_LESS}; plans of capacity go by the rate alone",
    "p999_ms": _LESS,
}

# By these words of a name a person may find what no convention covers.
_LOOKS_LIKE: dict[Metric, tuple[str, ...]] = {
    "request_rate": ("requests_total", "requests_count"),
    "error_rate": ("errors_total", "failures_total"),
    "load": ("utilization", "saturation", "threads_busy"),
    "queue_depth": ("queue_length", "queue_depth", "queue_size", "queued", "backlog"),
    "active_workers": ("workers", "replicas"),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rule for one metric, and what it gave of each entity in the newest interval."""

    metric: Metric
    rule: Rule
    promql: str
    conventions: tuple[Convention, ...]
    entities: frozenset[str]  # it gives a value of these, be it not in each interval
    newest: Mapping[str, float]  # what it gave in the newest interval

    @property
    def why(self) -> str:
        """Say whose convention it is."""
        return "; ".join(dict.fromkeys(_whose(each) for each in self.conventions))


@dataclass(frozen=True, slots=True)
class Missing:
    """A metric that nothing here gives."""

    metric: Metric
    gives: tuple[str, ...]  # series that would give it
    looks_like: tuple[str, ...]  # series that are there, which a mapping by hand may use
    follows: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping for one Prometheus, and what to know of it before it is used."""

    mapping: Rules
    chosen: tuple[Chosen, ...]
    missing: tuple[Missing, ...]
    left_out: tuple[str, ...]  # they serve no requests

    @property
    def entities(self) -> tuple[str, ...]:
        return tuple(sorted({name for each in self.chosen for name in each.entities}))

    @property
    def silent(self) -> tuple[Metric, ...]:
        """The metrics that no entity has in the newest interval."""
        return tuple(each.metric for each in self.chosen if not each.newest)


def missing(chosen: Iterable[Chosen], names: Iterable[str]) -> tuple[Missing, ...]:
    """Tell what is lacking, and what would give it."""
    there = {each.metric for each in chosen}
    return tuple(
        Missing(metric, _givers(metric), _alike(metric, names), FOLLOWS[metric])
        for metric in METRICS
        if metric not in there
    )


def _givers(metric: Metric) -> tuple[str, ...]:
    fitting = sorted((each for each in CONVENTIONS if each.metric == metric), key=lambda c: c.rank)
    # Series that go together are named together: neither is enough.
    return tuple(dict.fromkeys(" with ".join(each.series) for each in fitting))[:NAMED]


def _alike(metric: Metric, names: Iterable[str]) -> tuple[str, ...]:
    words = _LOOKS_LIKE.get(metric, ())
    return tuple(sorted(name for name in names if any(word in name for word in words)))[:NAMED]


def _whose(convention: Convention) -> str:
    caveat = f" ({convention.caveat})" if convention.caveat else ""
    return f"{convention.software}{caveat}"
