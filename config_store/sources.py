"""The `sources` section: where telemetry comes from, and what is known of the entities.

Rules are data: a Prometheus source writes them as PromQL, and the remote-write receiver evaluates
them itself, so that both give the same numbers. They change without a restart.
"""

from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, HttpUrl, model_validator

from settings.frozen import Frozen

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
SeriesName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,254}$")]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,127}$")]

# What a source may give of an entity; each is a column of telemetry (features/telemetry).
Metric = Literal[
    "request_rate",
    "error_rate",
    "load",
    "infra",
    "cpu",
    "memory",
    "queue_depth",
    "active_workers",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "p999_ms",
]

# Shorter ones would hold one sample or none of what is scraped every 15 s.
Cadence = Annotated[int, Field(ge=15, le=3600, multiple_of=15)]


class Matcher(Frozen):
    """Which series count, by one label."""

    label: LabelName
    op: Literal["=", "!=", "=~", "!~"] = "="
    value: str = Field(max_length=1000)


class Selector(Frozen):
    """Series by their name and labels."""

    name: SeriesName
    where: tuple[Matcher, ...] = ()


class Rate(Frozen):
    """The sum of counters' increase a second."""

    kind: Literal["rate"] = "rate"
    of: Selector
    times: float = 1.0


class Ratio(Frozen):
    """One sum of rates by another; 0 where the upper one has no series yet."""

    kind: Literal["ratio"] = "ratio"
    of: Selector
    by: Selector


class Quantile(Frozen):
    """A quantile of a histogram, classic (`_bucket` series) or native."""

    kind: Literal["quantile"] = "quantile"
    of: Selector = Field(description="The histogram's name without `_bucket`.")
    native: bool = False
    level: float = Field(gt=0, lt=1)
    times: float = Field(1000.0, description="From the histogram's unit to the metric's.")


class Gauge(Frozen):
    """Gauges, taken together over the entity's series."""

    kind: Literal["gauge"] = "gauge"
    of: Selector
    over: Literal["sum", "avg", "min", "max", "count"] = "sum"
    times: float = 1.0


class GaugeRatio(Frozen):
    """The sum of gauges by the sum of others."""

    kind: Literal["gauge_ratio"] = "gauge_ratio"
    of: Selector
    by: Selector


class Expression(Frozen):
    """PromQL of the user's own; `$interval` stands for the cadence. Only a Prometheus runs it."""

    kind: Literal["expression"] = "expression"
    promql: str = Field(min_length=1, max_length=10_000)


Rule = Annotated[
    Rate | Ratio | Quantile | Gauge | GaugeRatio | Expression, Field(discriminator="kind")
]


class Mapping(Frozen):
    """How series become metrics of entities."""

    entity: LabelName = Field(
        description="The label that names the entity, such as `job` or `service_name`."
    )
    metrics: dict[Metric, Rule] = Field(min_length=1)
    deploys: Selector | None = Field(
        None,
        description="Gauges of processes' start times: where one moves, a deploy began.",
    )


class _Source(Frozen):
    cadence_seconds: Cadence = 60
    paused: bool = False


class PrometheusSource(_Source):
    """A Prometheus, or what speaks its API, that is asked."""

    kind: Literal["prometheus"] = "prometheus"
    url: HttpUrl
    mapping: Mapping
    token_file: str | None = Field(
        None, description="A file that holds a bearer token; the configuration holds no secret."
    )
    verify_tls: bool = True
    history_days: int = Field(60, ge=0, le=3650, description="How much of the past is fetched.")


class PushSource(_Source):
    """Rows that clients post to /telemetry under this source's name."""

    kind: Literal["push"] = "push"


class RemoteWriteSource(_Source):
    """Samples that a Prometheus writes to /api/v1/write."""

    kind: Literal["remote_write"] = "remote_write"
    mapping: Mapping


SourceConfig = Annotated[
    PrometheusSource | PushSource | RemoteWriteSource, Field(discriminator="kind")
]


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError(f"{zone!r} is no time zone: give one such as 'Europe/London'")
    return zone


class EntityFacts(Frozen):
    """What nobody can measure of an entity; one that is not listed has none of it."""

    exchange: str | None = Field(
        None,
        pattern=r"^[A-Z]{4}$",
        description="The exchange whose calendar its load follows, by its ISO 10383 code.",
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    target_ms: float | None = Field(None, gt=0, description="The latency objective.")


class SourcesConfig(Frozen):
    """Every source by its name, and the entities of which something is stated."""

    named: dict[Annotated[str, Field(pattern=NAME)], SourceConfig] = Field(default_factory=dict)
    entities: dict[Annotated[str, Field(min_length=1, max_length=200)], EntityFacts] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _demo_is_ours(self) -> Self:
        if "demo" in self.named:
            raise ValueError("the name 'demo' is the simulator's: give the source another one")
        return self
