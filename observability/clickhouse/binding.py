"""Values on their way into a statement's `{name:Type}` places.

ClickHouse parses a bound value by the place's type after the statement is parsed, so no value can
become SQL. What it reads is text in its "escaped" form, over HTTP and embedded alike:
https://clickhouse.com/docs/interfaces/http#cli-queries-with-parameters
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | datetime | None
Param: TypeAlias = Scalar | Sequence[Scalar]
Params: TypeAlias = Mapping[str, Param]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_ESCAPES = str.maketrans(
    {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\b": r"\b", "\f": r"\f", "\0": r"\0"}
)


def bound(params: Params | None) -> dict[str, str]:
    """Write each value as the text that ClickHouse reads."""
    return {name: _text(value) for name, value in (params or {}).items()}


def insert_target(table: str, columns: Iterable[str]) -> str:
    """Begin an insert. Names cannot be bound as values are, so only plain ones pass."""
    for name in (table, *columns):
        if not _NAME.fullmatch(name):
            raise ValueError(f"the name of a table or column must be plain, not {name!r}")
    return f"INSERT INTO {table} ({', '.join(columns)})"


def _text(value: Param) -> str:
    match value:
        case None:
            return r"\N"
        case str():
            return value.translate(_ESCAPES)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case datetime():
            return _moment(value)
        case _:
            return "[" + ",".join(_element(item) for item in value) + "]"


def _element(value: Scalar) -> str:
    match value:
        case None:
            return "NULL"
        case str():
            return "'" + value.translate(_ESCAPES).replace("'", r"\'") + "'"
        case datetime():
            return f"'{_moment(value)}'"
        case _:
            return _text(value)


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"a bound time needs a time zone, but {value!r} has none")
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
