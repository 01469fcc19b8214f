"""How series become metrics of entities: the rules, as data.

A Prometheus source writes them as PromQL, and the remote-write receiver evaluates them itself, so
that both give the same numbers.
"""

from typing import Annotated, Literal

from pydantic import Field

from settings.frozen import Frozen

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
    """The sum of counters' increase a second; it takes two samples in an interval to see one."""

    kind: Literal["rate"] = "rate"
    of: Selector
    times: float = 1.0


class Ratio(Frozen):
    """One sum of rates by another; 0 where the upper one has no series yet.

    Where the lower one is 0 nothing happened, and nothing was measured.
    """

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
    """Gauges, taken together over the entity's series.

    The latest sample of each series counts, if it lies in the interval and the series has not
    ended by then.
    """

    kind: Literal["gauge"] = "gauge"
    of: Selector
    over: Literal["sum", "avg", "min", "max", "count"] = "sum"
    times: float = 1.0


class GaugeRatio(Frozen):
    """The sum of gauges by the sum of others; nothing where that is 0."""

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
        description="Gauges of processes' start times: where a quarter of the processes or more "
        "were replaced by younger ones within an interval, a deploy began.",
    )
    version_label: LabelName | None = Field(
        None,
        description="The label of those gauges that holds the program's version, where they have "
        "one: where another version comes up, a deploy began.",
    )
