"""The SQL that a source's rules come to, and which column of its answer is what."""

from dataclasses import dataclass, field

from features.sources.clickhouse.answers import ColumnRoles, Doubled
from features.sources.clickhouse.places import filled
from features.sources.clickhouse.rules import Query, Template
from features.sources.clickhouse.statement import (
    ENTITY,
    SEVERAL,
    TIME,
    TWICE,
    holds_intervals,
    statement_of,
)


@dataclass(frozen=True, slots=True)
class PreparedSql:
    """SQL with places for the moments, and the values of its others."""

    sql: str
    picked: ColumnRoles
    params: dict[str, str] = field(default_factory=dict)

    def filled(self, start: int, stop: int, cadence_seconds: int) -> dict[str, str]:
        """Give the text of each place's value."""
        moments = filled(self.sql, start=start, stop=stop, cadence_seconds=cadence_seconds)
        return self.params | moments


def prepare(query: Query) -> PreparedSql:
    if isinstance(query, Template):
        metrics = {str(name): (each.column, each.times) for name, each in query.metrics.items()}
        return PreparedSql(query.sql, ColumnRoles(query.entity, query.time, metrics, query.deploy))
    statement = statement_of(query)
    own = {str(name): (str(name), 1.0) for name in query.metrics}
    doubled = Doubled(TWICE, SEVERAL) if holds_intervals(query) else None
    return PreparedSql(
        statement.sql, ColumnRoles(ENTITY, TIME, own, doubled=doubled), statement.params
    )
