"""Proposes how a table of the user's becomes metrics: what is there, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from features.errors import NothingUsableError, TooMuchAskedError
from features.sources.clickhouse.columns_used import METRICS, ColumnsUsed, Stated, Use, columns_used
from features.sources.clickhouse.engine import Engine
from features.sources.clickhouse.rules import Aggregate, GaugeOf, Table
from features.sources.clickhouse.schema import TableSeen, tables
from features.sources.clickhouse.source import ClickhouseSource
from features.sources.clickhouse.statement import quoted
from features.sources.rules import Metric
from features.sources.source import Gathered

TRIED_TABLES: Final = 5
INTERVALS: Final = 10
SHOWN: Final = 8
# A share is at most 1, and may be measured a little over it; what is beyond is a percentage.
_MOST_SHARE: Final = 1.05
_WEEK: Final = 7 * 86_400
_UNITS: Final[tuple[tuple[float, Literal["s", "ms", "us", "ns"]], ...]] = (
    (1e11, "s"),
    (1e14, "ms"),
    (1e17, "us"),
    (float("inf"), "ns"),
)
_FACTORS: Final = {None: 1, "s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True, slots=True)
class TableProposal:
    """Rules for one table, and what they gave of its newest intervals."""

    rules: Table
    used: ColumnsUsed
    rows: int
    oldest: int
    newest: int
    sample: Gathered
    others: tuple[str, ...]  # tables that may be of use too

    @property
    def missing(self) -> tuple[Metric, ...]:
        return tuple(name for name in METRICS if name not in self.rules.metrics)


class _Extent:
    """When a table's rows begin and end, seconds, and how its time column says it."""

    def __init__(self, rows: int, oldest: float, newest: float, *, is_moment: bool) -> None:
        self.rows = rows
        self.unit = None if is_moment else _unit_of(newest)
        self.oldest = int(oldest / _FACTORS[self.unit])
        self.newest = int(newest / _FACTORS[self.unit])


async def propose(
    engine: Engine,
    *,
    now: float,
    cadence_seconds: int,
    database: str | None = None,
    table: str | None = None,
    stated: Stated,
) -> TableProposal:
    """Look at the tables, and propose the best of those that measure services.

    NothingUsableError says why there is none.
    """
    seen = await tables(engine, database, table)
    _refuse_unknown(seen, database, table, stated)
    fitting = [used for each in seen if (used := columns_used(each, stated)) is not None]
    fitting.sort(key=lambda each: each.rank, reverse=True)
    usable = [each for each in fitting if each.uses]
    if not usable:
        raise NothingUsableError(_why_none(seen, fitting))
    for used in usable[:TRIED_TABLES]:
        extent = await _extent(engine, used, now)
        if extent is not None:
            others = tuple(each.table.full_name for each in usable if each is not used)
            return await _tried(engine, used, extent, now, cadence_seconds, others)
    names = ", ".join(each.table.full_name for each in usable[:TRIED_TABLES])
    raise NothingUsableError(f"no row is in {names} whose time is not ahead of the clock here")


def _rules_of(used: ColumnsUsed, unit: Literal["s", "ms", "us", "ns"] | None) -> Table:
    metrics: dict[Any, Aggregate] = {use.metric: use.aggregate for use in used.uses}
    return Table(
        database=used.table.database,
        table=used.table.name,
        entity=used.entity,
        time=used.time.name,
        time_unit=unit,
        where=used.where,
        series=used.series,
        metrics=metrics,
    )


async def _tried(
    engine: Engine,
    used: ColumnsUsed,
    extent: _Extent,
    now: float,
    cadence: int,
    others: tuple[str, ...],
) -> TableProposal:
    used = await _with_units(engine, used, extent)
    rules = _rules_of(used, extent.unit)
    source = ClickhouseSource(
        "it", engine, rules, lambda: now, cadence_seconds=cadence, lateness_seconds=0
    )
    begun = extent.newest // cadence * cadence
    sample = await source.range(begun - (INTERVALS - 1) * cadence, begun + cadence)
    return TableProposal(rules, used, extent.rows, extent.oldest, extent.newest, sample, others)


async def _extent(engine: Engine, used: ColumnsUsed, now: float) -> _Extent | None:
    """Tell which rows there are, but for those ahead of the clock; of huge tables the last week."""
    is_moment = used.time.is_moment
    time = quoted(used.time.name)
    number = f"toUnixTimestamp({time})" if is_moment else time
    until = f"{time} <= fromUnixTimestamp(toUInt32({{now:Float64}}))" if is_moment else "1"
    since = f"{time} > fromUnixTimestamp(toUInt32({{now:Float64}} - {_WEEK}))"
    name = ".".join(map(quoted, (used.table.database, used.table.name)))
    sql = (
        f"SELECT count() AS rows, toFloat64(min({number})) AS oldest, "  # noqa: S608 - names are quoted
        f"toFloat64(max({number})) AS newest FROM {name} WHERE {until}"
    )
    try:
        found = (await engine.ask(sql, {"now": repr(now)})).to_pylist()[0]
    except TooMuchAskedError:
        if not is_moment:
            raise
        found = (await engine.ask(f"{sql} AND {since}", {"now": repr(now)})).to_pylist()[0]
    if not found["rows"]:
        return None
    return _Extent(found["rows"], found["oldest"], found["newest"], is_moment=is_moment)


async def _with_units(engine: Engine, used: ColumnsUsed, extent: _Extent) -> ColumnsUsed:
    """Tell shares from percentages by their values, where the names do not say."""
    unsure = [use for use in used.uses if use.unit_unknown and isinstance(use.aggregate, GaugeOf)]
    if not unsure:
        return used
    factor = _FACTORS[extent.unit]
    since = (
        f"fromUnixTimestamp({extent.newest - 86_400})"
        if extent.unit is None
        else str((extent.newest - 86_400) * factor)
    )
    columns = [quoted(use.aggregate.column) for use in unsure if isinstance(use.aggregate, GaugeOf)]
    highest = ", ".join(f"toFloat64(max({each})) AS m{at}" for at, each in enumerate(columns))
    name = ".".join(map(quoted, (used.table.database, used.table.name)))
    sql = f"SELECT {highest} FROM {name} WHERE {quoted(used.time.name)} >= {since}"  # noqa: S608 - names are quoted
    found = (await engine.ask(sql, {})).to_pylist()[0]
    told = {use.metric: _as_share(use, found[f"m{at}"]) for at, use in enumerate(unsure)}
    return replace(used, uses=tuple(told.get(use.metric, use) for use in used.uses))


def _as_share(use: Use, highest: float | None) -> Use:
    if highest is None or not isinstance(use.aggregate, GaugeOf):
        return use
    if highest <= _MOST_SHARE:
        return replace(use, caveat=f"a share of 1: its values go up to {highest:.4g}")
    percent = use.aggregate.model_copy(update={"times": 0.01})
    return replace(
        use, aggregate=percent, caveat=f"a percentage: its values go up to {highest:.4g}"
    )


def _unit_of(newest: float) -> Literal["s", "ms", "us", "ns"]:
    """Tell the unit of a number since 1970: for centuries no two of them can be mistaken."""
    return next(unit for below, unit in _UNITS if newest < below)


def _refuse_unknown(
    seen: Sequence[TableSeen], database: str | None, table: str | None, stated: Stated
) -> None:
    if not seen:
        wanted = ".".join(each for each in (database, table) if each)
        raise NothingUsableError(
            f"it has no table {wanted} that this user may see"
            if wanted
            else "it has no table that this user may see"
        )
    for option, column in (("--entity-column", stated.entity), ("--time-column", stated.time)):
        if column is not None and all(each.column(column) is None for each in seen):
            there = ", ".join(each.name for each in seen[0].columns[:SHOWN])
            raise NothingUsableError(f"no table has the column {column} ({option}); it has {there}")


def _why_none(seen: Sequence[TableSeen], fitting: Sequence[ColumnsUsed]) -> str:
    if fitting:
        column = fitting[0].without_unit[0]
        return (
            f"the name of {column} in {fitting[0].table.full_name} does not say in which unit it "
            "is: give it with --latency-unit"
        )
    names = ", ".join(each.full_name for each in seen[:SHOWN])
    columns = ", ".join(f"{each.name} {each.type}" for each in seen[0].columns[:SHOWN])
    first = f"; {seen[0].full_name} has {columns}" if len(seen) == 1 else ""
    return (
        f"no table has a time, a service and a metric by names that are known (there are {names}"
        f"{first}). docs/sources/clickhouse.md lists them: name the columns with --time-column and "
        "--entity-column, or give SQL of your own with --sql"
    )
