"""Chooses what a table's columns are for: the time, the entity, and what metrics are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from features.sources.clickhouse.names import (
    ENTITIES,
    SERIES,
    TIMES,
    Meaning,
    meaning_of,
    plain,
)
from features.sources.clickhouse.rules import (
    Aggregate,
    Condition,
    Counted,
    GaugeOf,
    QuantileOf,
    RateOf,
    RatioOf,
    Share,
)
from features.sources.clickhouse.schema import ColumnSeen, TableSeen
from features.sources.rules import Metric

METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
LEVELS: Final[dict[Metric, float]] = {
    "p50_ms": 0.5,
    "p95_ms": 0.95,
    "p99_ms": 0.99,
    "p999_ms": 0.999,
}
MEAN_OF_QUANTILES: Final = (
    "where an interval has several rows, the mean of their quantiles, which is not the quantile "
    "of all requests"
)


@dataclass(frozen=True, slots=True)
class Use:
    """What one metric is made of, and what to know of it."""

    metric: Metric
    aggregate: Aggregate
    caveat: str = ""
    unit_unknown: bool = False
    """Its name does not say whether it is a share or a percentage: the values tell."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says of the columns."""

    entity: str | None = None
    time: str | None = None
    latency_times: float | None = None  # from the unit of latencies that name none


@dataclass(frozen=True, slots=True)
class ColumnsUsed:
    """A table's columns, by what they are for."""

    table: TableSeen
    entity: str
    time: ColumnSeen
    series: tuple[str, ...]
    uses: tuple[Use, ...]
    where: tuple[Condition, ...] = ()
    without_unit: tuple[str, ...] = ()  # latencies of which nobody knows the unit
    layout: str = ""

    @property
    def rank(self) -> tuple[int, int]:
        """Give how much the table is worth: what services need first."""
        worth = {use.metric for use in self.uses}
        return len(worth & {"request_rate", "error_rate", "p99_ms"}), len(worth)


def columns_used(table: TableSeen, stated: Stated) -> ColumnsUsed | None:
    """Give what a table is good for; None where it has no time, no entity or no metric."""
    spans = _spans(table, stated)
    if spans is not None:
        return spans
    time = _chosen(table, stated.time, TIMES, lambda each: each.is_moment or each.is_number)
    entity = _chosen(table, stated.entity, ENTITIES, lambda each: each.is_text)
    if time is None or entity is None:
        return None
    known = {each.name: found for each in table.columns if (found := _meaning(each))}
    without = tuple(
        name
        for name, each in known.items()
        if each.kind in ("quantile", "duration") and each.times is None
    )
    uses = _of_intervals(known, stated) or _of_requests(table, known, stated)
    if not uses and not without:
        return None
    series = tuple(
        each.name
        for each in table.columns
        if each.is_text and plain(each.name) in SERIES and each.name != entity.name
    )
    unknown = () if stated.latency_times is not None else without
    return ColumnsUsed(table, entity.name, time, series, tuple(uses), without_unit=unknown)


def _chosen(
    table: TableSeen, stated: str | None, names: Sequence[str], fits: Any
) -> ColumnSeen | None:
    if stated is not None:
        return table.column(stated)
    fitting = {plain(each.name): each for each in reversed(table.columns) if fits(each)}
    moments = [each for each in fitting.values() if each.is_moment]
    by_name = next((fitting[name] for name in names if name in fitting), None)
    # A table with one moment has no other time, whatever it is called.
    return by_name or (moments[0] if names is TIMES and len(moments) == 1 else None)


def _meaning(column: ColumnSeen) -> Meaning | None:
    found = meaning_of(column.name)
    if found is None:
        return None
    if found.kind == "status":
        return found if column.is_number or column.is_text else None
    if found.kind in ("failed", "succeeded"):
        return found if column.is_flag else None
    return found if column.is_number else None


def _of_intervals(known: dict[str, Meaning], stated: Stated) -> list[Use]:
    """Give what rows of an interval's measurements say."""
    uses: dict[Metric, Use] = {}
    for name, each in known.items():
        use = _gauge(name, each, stated)
        if use is not None:
            uses.setdefault(use.metric, use)
    counted = _first(known, "count")
    if counted is not None:
        uses.setdefault("request_rate", Use("request_rate", RateOf(column=counted)))
        if (failed := _first(known, "errors")) is not None:
            ratio = RatioOf(column=failed, by=counted)
            uses["error_rate"] = Use("error_rate", ratio)
    used, limit = _first(known, "used"), _first(known, "limit")
    if used is not None and limit is not None:
        uses.setdefault("memory", Use("memory", RatioOf(column=used, by=limit)))
    if not uses.keys() & {"request_rate", *LEVELS} and _first(known, "duration") is not None:
        return []  # rows of requests, with a queue beside
    return [uses[metric] for metric in METRICS if metric in uses]


def _gauge(name: str, meaning: Meaning, stated: Stated) -> Use | None:
    match meaning.kind, meaning.metric:
        case "rate", "request_rate":
            gauge = GaugeOf(column=name, over="sum", times=meaning.times or 1.0)
            return Use("request_rate", gauge)
        case "gauge", str(metric):
            over: Any = "avg" if metric == "load" else "sum"
            return Use(metric, GaugeOf(column=name, over=over, times=meaning.times or 1.0))
        case "share", str(metric):
            gauge = GaugeOf(column=name, times=meaning.times or 1.0)
            return Use(metric, gauge, unit_unknown=meaning.times is None)
        case "quantile", str(metric):
            times = meaning.times or stated.latency_times
            if times is None:
                return None
            return Use(metric, GaugeOf(column=name, times=times), MEAN_OF_QUANTILES)
    return None


def _of_requests(table: TableSeen, known: dict[str, Meaning], stated: Stated) -> list[Use]:
    """Give what rows of a request each say."""
    duration, failed = _first(known, "duration"), _failure(table, known)
    if duration is None and failed is None:
        return []
    uses = [Use("request_rate", Counted())]
    if failed is not None:
        uses.append(Use("error_rate", Share(where=(failed,))))
    times = None if duration is None else known[duration].times or stated.latency_times
    if duration is not None and times is not None:
        uses += quantiles(duration, times)
    return uses


def quantiles(column: str, times: float) -> list[Use]:
    return [
        Use(metric, QuantileOf(column=column, level=level, times=times))
        for metric, level in LEVELS.items()
    ]


def _failure(table: TableSeen, known: dict[str, Meaning]) -> Condition | None:
    if (status := _first(known, "status")) is not None:
        column = table.column(status)
        if column is not None and column.is_number:
            return Condition(column=status, op=">=", value=500)
        return Condition(column=status, op="like", value="5__")
    if (failed := _first(known, "failed")) is not None:
        return Condition(column=failed, op="!=", value=0)
    if (succeeded := _first(known, "succeeded")) is not None:
        return Condition(column=succeeded, op="=", value=0)
    return None


def _first(known: dict[str, Meaning], kind: str) -> str | None:
    """Give the first such column, one that says its unit before one that does not."""
    found = [name for name, each in known.items() if each.kind == kind]
    return min(found, key=lambda name: known[name].times is None, default=None)


def _spans(table: TableSeen, stated: Stated) -> ColumnsUsed | None:
    """Know the spans that OpenTelemetry's exporter writes: what a server did is a request."""
    needed = {"Timestamp", "ServiceName", "SpanKind", "Duration", "StatusCode"}
    if not needed <= {each.name for each in table.columns}:
        return None
    time = table.column(stated.time or "Timestamp")
    if time is None:
        return None
    failed = Condition(column="StatusCode", op="in", value=("Error", "STATUS_CODE_ERROR"))
    served = Condition(
        column="SpanKind",
        op="in",
        value=("Server", "SPAN_KIND_SERVER", "Consumer", "SPAN_KIND_CONSUMER"),
    )
    uses: Iterable[Use] = (
        Use("request_rate", Counted()),
        Use("error_rate", Share(where=(failed,))),
        *quantiles("Duration", 1e-6),
    )
    return ColumnsUsed(
        table,
        stated.entity or "ServiceName",
        time,
        (),
        tuple(uses),
        where=(served,),
        layout="spans as OpenTelemetry's exporter writes them",
    )
