"""Writes the SQL of a table's rules: one row for each entity and interval.

Names are quoted and values are bound, so that neither can become SQL. Series are put together in
two steps: each over the interval first, and then the series of an entity.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, assert_never

from features.sources.clickhouse.rules import (
    Aggregate,
    Condition,
    Counted,
    GaugeOf,
    QuantileOf,
    RateOf,
    RatioOf,
    Share,
    Table,
)

ENTITY: Final = "entity"
TIME: Final = "time"
_UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_ESCAPES: Final = str.maketrans(
    {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\b": r"\b", "\f": r"\f", "\0": r"\0"}
)


# Names that no table has: an alias that bears a column's name would stand for it in the WHERE.
_OWN: Final = "ballast_"
ROWS: Final = f"{_OWN}rows"
OLDEST: Final = f"{_OWN}oldest"
TWICE: Final = f"{_OWN}twice"
SEVERAL: Final = f"{_OWN}several"


class Statement(NamedTuple):
    """SQL, and the text of each value that its places are filled with, besides the moments."""

    sql: str
    params: dict[str, str]


class _Bound:
    """Values on their way into a statement."""

    def __init__(self) -> None:
        self.params: dict[str, str] = {}

    def place(self, value: float | str, kind: str | None = None) -> str:
        name = f"value_{len(self.params)}"
        self.params[name] = escaped(value) if isinstance(value, str) else repr(float(value))
        kind = kind or ("String" if isinstance(value, str) else "Float64")
        return f"{{{name}:{kind}}}"

    def condition(self, each: Condition) -> str:
        column = quoted(each.column)
        if isinstance(each.value, tuple):
            return f"{column} IN ({', '.join(map(self.place, each.value))})"
        return f"{column} {each.op.upper()} {self.place(each.value)}"


class _Parts:
    """What is made of each series, each once however many metrics are made of it."""

    def __init__(self, bound: _Bound) -> None:
        self.bound = bound
        self._names: dict[str, str] = {}
        self._sorted: set[str] = set()

    def name(self, text: str) -> str:
        return self._names.setdefault(text, f"{_OWN}{len(self._names)}")

    def texts(self) -> list[str]:
        return [f"{text} AS {name}" for text, name in self._names.items()]

    def together(self, aggregate: Aggregate) -> str:
        """Give how the series of an entity are put together."""
        match aggregate:
            case Counted():
                return f"sum({self.name('count()')}) / {{cadence:UInt32}}"
            case Share(where=where):
                met = " AND ".join(map(self.bound.condition, where))
                return f"sum({self.name(f'countIf({met})')}) / sum({self.name('count()')})"
            case QuantileOf(column=column, level=level, times=times):
                return self._scaled(self._quantile(column, level), times)
            case RateOf(column=column, times=times):
                total = f"sum({self.name(f'sum({quoted(column)})')})"
                return self._scaled(f"{total} / {{cadence:UInt32}}", times)
            case RatioOf(column=column, by=by, times=times):
                upper = f"sum({self.name(f'sum({quoted(column)})')})"
                lower = f"sum({self.name(f'sum({quoted(by)})')})"
                return self._scaled(f"if({lower} > 0, {upper} / {lower}, NULL)", times)
            case GaugeOf(column=column, over=over, times=times):
                return self._scaled(f"{over}({self.name(f'avg({quoted(column)})')})", times)
        assert_never(aggregate)

    def _quantile(self, column: str, level: float) -> str:
        # As the logs' quantiles are taken: the same requests give the same value. A decimal, for
        # 0.95 of 20 values is the 19th one and no float's 19.000000000000004th.
        name = quoted(column)
        values = self.name(f"groupArrayIf(toFloat64(assumeNotNull({name})), isNotNull({name}))")
        risen = f"{values}_risen"
        first = (
            risen if values in self._sorted else f"arraySort(groupArrayArray({values})) AS {risen}"
        )
        self._sorted.add(values)
        rank = f"ceil(length({risen}) * {self.bound.place(level, 'Decimal64(9)')})"
        return f"if(empty({first}), NULL, {risen}[greatest(toUInt64({rank}), 1)])"

    def _scaled(self, text: str, times: float) -> str:
        return text if times == 1.0 else f"{text} * {self.bound.place(times)}"


def statement_of(table: Table) -> Statement:
    """Write the statement whose places are the moments and the cadence."""
    bound = _Bound()
    parts = _Parts(bound)
    begin = f"intDiv({_seconds(table)}, {{cadence:UInt32}}) * {{cadence:UInt32}}"
    keys = [f"toString({quoted(table.entity)}) AS {_OWN}entity", f"{begin} AS {_OWN}time"]
    keys += [f"{quoted(name)} AS {_OWN}series_{at}" for at, name in enumerate(table.series)]
    metrics = [f"{parts.together(each)} AS {name}" for name, each in table.metrics.items()]
    where = [*_window(table), *map(bound.condition, table.where)]
    rows = f"{named(table)}\n  WHERE {' AND '.join(where)}"
    if holds_intervals(table):
        several = f"count() - uniqExact({quoted(table.time)})"
        metrics.append(f"sum({parts.name(f'sum({_OWN}times - 1)')}) AS {TWICE}")
        metrics.append(f"sum({parts.name(several)}) AS {SEVERAL}")
        rows = _distinct(table, rows)
    sql = (
        f"SELECT {_OWN}entity AS {ENTITY}, {_OWN}time AS {TIME},\n    {_lines(metrics)}\n"  # noqa: S608 - names are quoted, values bound
        f"FROM (\n  SELECT {_lines([*keys, *parts.texts()])}\n"
        f"  FROM {rows}\n"
        f"  GROUP BY {', '.join(each.rpartition(' AS ')[2] for each in keys)}\n)\n"
        f"GROUP BY {ENTITY}, {TIME}\nORDER BY {ENTITY}, {TIME}"
    )
    return Statement(sql, bound.params)


def holds_intervals(table: Table) -> bool:
    """Tell whether a row describes some time, so that a second one of it is a mistake.

    Of requests, several may well be of one moment.
    """
    of_requests = (Counted, Share, QuantileOf)
    return not any(isinstance(each, of_requests) for each in table.metrics.values())


def _distinct(table: Table, rows: str) -> str:
    """Count rows that are the same to the last digit, which were inserted twice, as one."""
    values = (_columns(each) for each in table.metrics.values())
    used = {table.entity, table.time, *table.series, *(name for each in values for name in each)}
    names = ", ".join(map(quoted, sorted(used)))
    return f"(\n  SELECT {names}, count() AS {_OWN}times FROM {rows}\n  GROUP BY {names})"  # noqa: S608 - see above


def _columns(aggregate: Aggregate) -> tuple[str, ...]:
    match aggregate:
        case RatioOf(column=column, by=by):
            return column, by
        case RateOf(column=column) | GaugeOf(column=column):
            return (column,)
        case _:
            return ()


def oldest_of(table: Table) -> Statement:
    """Write the statement that tells when the table's rows begin."""
    bound = _Bound()
    where = [f"{quoted(table.time)} > {_moment(table, 'from')}"]
    where += map(bound.condition, table.where)
    oldest = _seconds(table, f"min({quoted(table.time)})")
    sql = (
        f"SELECT count() AS {ROWS}, toInt64({oldest}) AS {OLDEST} "  # noqa: S608 - see above
        f"FROM {named(table)} WHERE {' AND '.join(where)}"
    )
    return Statement(sql, bound.params)


def quoted(name: str) -> str:
    """Quote the name of a column or table; the rules let no back quote pass."""
    return f"`{name}`"


def named(table: Table) -> str:
    database = () if table.database is None else (table.database,)
    return ".".join(map(quoted, (*database, table.table)))


def escaped(text: str) -> str:
    """Write text as a place reads it, in which a backslash begins an escape."""
    return text.translate(_ESCAPES)


def _seconds(table: Table, time: str | None = None) -> str:
    """Give the whole seconds of a row's time."""
    time = time or quoted(table.time)
    if table.time_unit is None:
        return f"toUnixTimestamp({time})"
    return f"intDiv(toInt64({time}), {_UNITS[table.time_unit]})"


def _moment(table: Table, name: str) -> str:
    """Give a moment as the time column holds it, so that an index on it is of use."""
    if table.time_unit is None:
        return f"{{{name}:DateTime64(3)}}"
    return f"{{{name}:Int64}} * {_UNITS[table.time_unit]}"


def _window(table: Table) -> Iterator[str]:
    time = quoted(table.time)
    yield f"{time} >= {_moment(table, 'from')}"
    yield f"{time} < {_moment(table, 'to')}"


def _lines(parts: Iterable[str]) -> str:
    return ",\n    ".join(parts)
