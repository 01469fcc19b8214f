"""What is proposed for a Prometheus, and what it lacks."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from features.sources.prometheus.catalogue.convention import Convention
from features.sources.rules import Mapping as Rules
from features.sources.rules import Metric, Rule

METRICS: tuple[Metric, ...] = get_args(Metric)
NAMED = 3

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


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping for one Prometheus, and what to know of it before it is used."""

    mapping: Rules
    chosen: tuple[Chosen, ...]
    missing: tuple[Missing, ...]
    left_out: tuple[str, ...]  # they serve no requests
    why_silent: str  # and what to do, where it is known

    @property
    def entities(self) -> tuple[str, ...]:
        return tuple(sorted({name for each in self.chosen for name in each.entities}))

    @property
    def silent(self) -> tuple[Metric, ...]:
        """The metrics that no entity has in the newest interval."""
        return tuple(each.metric for each in self.chosen if not each.newest)


def missing(
    chosen: Iterable[Chosen], names: set[str], conventions: Collection[Convention]
) -> tuple[Missing, ...]:
    """Tell what is lacking, and what would give it; what needs only a label more comes first."""
    there = {each.metric for each in chosen}
    return tuple(
        Missing(metric, _givers(metric, names, conventions), _alike(metric, names))
        for metric in METRICS
        if metric not in there
    )


def _givers(metric: Metric, names: set[str], conventions: Iterable[Convention]) -> tuple[str, ...]:
    fitting = sorted(
        (each for each in conventions if each.metric == metric),
        key=lambda each: (not names.issuperset(each.series), each.rank),
    )
    # One of each software: it has its own names, and the user knows which one runs.
    each_software: dict[str, Convention] = {}
    for each in fitting:
        each_software.setdefault(each.software, each)
    return tuple(map(_needed, each_software.values()))[:NAMED]


def _needed(convention: Convention) -> str:
    """Name the series that go together, as neither is enough, and the label that one has."""
    label = f" with the label {convention.labels[0]}" if convention.labels else ""
    return " with ".join(convention.series) + label


def _alike(metric: Metric, names: Iterable[str]) -> tuple[str, ...]:
    words = _LOOKS_LIKE.get(metric, ())
    return tuple(sorted(name for name in names if any(word in name for word in words)))[:NAMED]


def _whose(convention: Convention) -> str:
    caveat = f" ({convention.caveat})" if convention.caveat else ""
    return f"{convention.software}{caveat}"
