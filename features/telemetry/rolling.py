"""Statistics of a metric over a trailing window, computed in the engine.

Numbers are sorted before they are added up: then the same rows give the same sum to the last bit,
however the engine keeps them. The quantile is the inclusive one, which interpolates as numpy does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from features.definitions.definition import Window
from features.telemetry.merged import IN_ORDER, Scope, merged, plain
from features.telemetry.tables import ColumnStore

_SORTED = (
    "arraySort(groupArrayIf({name}, isFinite({name}))) AS all_{name},"
    " length(all_{name}) AS n_{name},"
    " countIf(isFinite({name})) > uniqExactIf(ts, isFinite({name})) AS twice_{name}"
)
_LAST = "argMaxIf({name}, ts, isFinite({name})) AS newest_{name}"
_VALUES = {
    "mean": "arraySum(all_{name}) / n_{name}",
    "sd": (
        "sqrt(arraySum(x -> (x - arraySum(all_{name}) / n_{name})"
        " * (x - arraySum(all_{name}) / n_{name}), all_{name}) / n_{name})"
    ),
    "min": "all_{name}[1]",
    "max": "all_{name}[-1]",
    "last": "newest_{name}",
    "quantile": (
        "all_{name}[toUInt64(floor({q} * (n_{name} - 1))) + 1] + "
        "({q} * (n_{name} - 1) - floor({q} * (n_{name} - 1)))"
        " * (all_{name}[least(toUInt64(floor({q} * (n_{name} - 1))) + 2, n_{name})]"
        " - all_{name}[toUInt64(floor({q} * (n_{name} - 1))) + 1])"
    ),
}

Values = dict[str, float]


def rolling(store: ColumnStore, windows: Mapping[str, Window], scope: Scope) -> dict[str, Values]:
    """Give each window's value for each entity of the scope; NaN where nothing was measured.

    The windows are of one length, the scope's.
    """
    columns = sorted({each.column for each in windows.values()})
    rows = store.query(_sql(windows, columns, plain(columns, scope)), scope.params)
    found = {row["entity"]: row for row in rows}
    if doubled := [entity for entity, row in found.items() if row["doubled"]]:
        within = replace(scope, entities=doubled)
        sql = _sql(windows, columns, merged(columns, within)) + IN_ORDER
        found |= {row["entity"]: row for row in store.query(sql, within.params)}
    return {
        entity: {name: _number(row[f"value_{at}"]) for at, name in enumerate(windows)}
        for entity, row in found.items()
    }


def _sql(windows: Mapping[str, Window], columns: Sequence[str], rows: str) -> str:
    values = ", ".join(
        f"if(n_{each.column} = 0, nan, "
        + _VALUES[each.statistic].format(name=each.column, q=each.quantile)
        + f") AS value_{at}"
        for at, each in enumerate(windows.values())
    )
    gathered = ", ".join(f"{_SORTED}, {_LAST}".format(name=name) for name in columns)
    doubled = " OR ".join(f"twice_{name}" for name in columns)
    return (
        f"SELECT entity, {values}, {doubled} AS doubled FROM"  # noqa: S608 - names of definitions
        f" (SELECT entity, {gathered} FROM ({rows}) GROUP BY entity) "
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
