"""What tables a ClickHouse has, and the columns of each."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from features.sources.clickhouse.engine import Engine
from features.sources.clickhouse.statement import escaped

_COLUMNS: Final = """
SELECT database, table, groupArray((name, type)) AS columns
FROM (
    SELECT database, table, name, type FROM system.columns
    WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')
      AND ({database:String} = '' OR database = {database:String})
      AND ({table:String} = '' OR table = {table:String})
      AND table NOT LIKE '.inner%'
    ORDER BY database, table, position
)
GROUP BY database, table ORDER BY database, table LIMIT 500
"""
_WRAPPED: Final = re.compile(r"(?:LowCardinality|Nullable)\((.*)\)")


@dataclass(frozen=True, slots=True)
class ColumnSeen:
    """A column, with its type but for what may be wrapped around it."""

    name: str
    type: str

    @property
    def is_text(self) -> bool:
        return self.type == "String" or self.type.startswith(("FixedString", "Enum"))

    @property
    def is_number(self) -> bool:
        return self.type.startswith(("Int", "UInt", "Float", "Decimal"))

    @property
    def is_moment(self) -> bool:
        return self.type.startswith("DateTime")

    @property
    def is_flag(self) -> bool:
        return self.type in ("Bool", "UInt8")


@dataclass(frozen=True, slots=True)
class TableSeen:
    """A table and its columns, in their order."""

    database: str
    name: str
    columns: tuple[ColumnSeen, ...]

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.name}"

    def column(self, name: str) -> ColumnSeen | None:
        return next((each for each in self.columns if each.name == name), None)


async def tables(engine: Engine, database: str | None, table: str | None) -> list[TableSeen]:
    """List the tables that the user may see, of one database, or of one name."""
    params = {"database": escaped(database or ""), "table": escaped(table or "")}
    found = await engine.ask(_COLUMNS, params)
    return [
        TableSeen(row["database"], row["table"], tuple(_columns(row["columns"])))
        for row in found.to_pylist()
    ]


def _columns(pairs: Iterable[dict[str, str]]) -> Iterable[ColumnSeen]:
    for pair in pairs:
        name, kind = pair.values()
        while (wrapped := _WRAPPED.fullmatch(kind)) is not None:
            kind = wrapped[1]
        yield ColumnSeen(name, kind)
