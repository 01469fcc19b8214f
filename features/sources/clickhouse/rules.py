"""How rows of the user's own tables become metrics of entities: the rules, as data.

Either the user writes the SQL, or it is made of a description of a table.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from features.sources.clickhouse.places import wrong_places
from features.sources.rules import Metric
from settings.frozen import Frozen

ColumnName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f`\\]+$")]

_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*$", re.IGNORECASE)


class ResultColumn(Frozen):
    """A column of what the user's SQL answers."""

    column: ColumnName
    times: float = Field(1.0, description="From the column's unit to the metric's.")


class Template(Frozen):
    """SQL of the user's own, with one row for each entity and interval.

    `{from:DateTime64(3)}`, `{to:DateTime64(3)}` and `{cadence:UInt32}` are bound by the server.
    """

    kind: Literal["sql"] = "sql"
    sql: str = Field(min_length=1, max_length=20_000)
    entity: ColumnName = "entity"
    time: ColumnName = Field("time", description="When the interval begins.")
    metrics: dict[Metric, ResultColumn] = Field(min_length=1)
    deploy: ColumnName | None = Field(None, description="True where a deploy began.")

    @field_validator("sql")
    @classmethod
    def _can_be_asked(cls, sql: str) -> str:
        text = sql.strip().removesuffix(";").rstrip()
        if _FORMAT.search(text):
            raise ValueError("the SQL may name no FORMAT: leave it out")
        if trouble := wrong_places(text):
            raise ValueError(trouble)
        return text


class Condition(Frozen):
    """Which rows count, by one column; the value is bound, and never part of the SQL."""

    column: ColumnName
    op: Literal["=", "!=", "<", "<=", ">", ">=", "like", "in"] = "="
    value: float | str | tuple[str, ...] | tuple[float, ...]

    @model_validator(mode="after")
    def _has_a_list_where_it_needs_one(self) -> Self:
        if (self.op == "in") != isinstance(self.value, tuple):
            raise ValueError(f"{self.column}: only `in` takes a list, and it takes nothing else")
        return self


class Counted(Frozen):
    """Rows a second: each row is a request."""

    kind: Literal["rows"] = "rows"


class Share(Frozen):
    """The share of the rows that meet the conditions, of a request each."""

    kind: Literal["share"] = "share"
    where: tuple[Condition, ...] = Field(min_length=1)


class QuantileOf(Frozen):
    """The smallest value that such a share of the rows' values does not exceed."""

    kind: Literal["quantile"] = "quantile"
    column: ColumnName
    level: float = Field(gt=0, lt=1)
    times: float = 1.0


class RateOf(Frozen):
    """A second's share of a count that each row holds of its own time."""

    kind: Literal["rate"] = "rate"
    column: ColumnName
    times: float = 1.0


class RatioOf(Frozen):
    """The sum of one column by the sum of another; nothing where that is 0."""

    kind: Literal["ratio"] = "ratio"
    column: ColumnName
    by: ColumnName
    times: float = 1.0


class GaugeOf(Frozen):
    """The mean of each series over the interval, and the series of an entity together.

    What tells series apart is the table's `series`; without it an entity is one series.
    """

    kind: Literal["gauge"] = "gauge"
    column: ColumnName
    over: Literal["sum", "avg", "min", "max"] = "avg"
    times: float = 1.0


Aggregate = Annotated[
    Counted | Share | QuantileOf | RateOf | RatioOf | GaugeOf, Field(discriminator="kind")
]


class Table(Frozen):
    """A table, and what its columns mean."""

    kind: Literal["table"] = "table"
    database: ColumnName | None = None
    table: ColumnName
    entity: ColumnName
    time: ColumnName
    time_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        None, description="The unit of a time that is a number since 1970; None: it is a date."
    )
    where: tuple[Condition, ...] = Field((), description="Which rows are looked at.")
    series: tuple[ColumnName, ...] = Field(
        (), description="Columns that tell an entity's series apart, such as its instances."
    )
    metrics: dict[Metric, Aggregate] = Field(min_length=1)


Query = Annotated[Template | Table, Field(discriminator="kind")]
