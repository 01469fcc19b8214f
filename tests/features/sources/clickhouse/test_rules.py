"""Which templates and rules can be asked, and what the SQL that is made of rules looks like."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from features.sources.clickhouse.places import filled
from features.sources.clickhouse.rules import Query, Table
from features.sources.clickhouse.statement import oldest_of, statement_of

QUERIES: TypeAdapter[Query] = TypeAdapter(Query)
WINDOW = "WHERE t >= {from:DateTime64(3)} AND t < {to:DateTime64(3)}"


def template(sql: str) -> dict[str, Any]:
    return {"kind": "sql", "sql": sql, "metrics": {"load": {"column": "load"}}}


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 1", "lacks {from:DateTime64(3)} and {to:DateTime64(3)}"),
        ("SELECT 1 WHERE t >= {from:DateTime}", "lacks {to:DateTime64(3)}"),
        (f"SELECT {{till:UInt8}} {WINDOW}", "there is no {till}"),
        (f"SELECT {{cadence:String}} {WINDOW}", "a type that holds no such number"),
        ("SELECT 1 WHERE t > {from:Date} AND t < {to:Date}", "a type that holds no such number"),
        (f"SELECT 1 {WINDOW} FORMAT JSON;", "may name no FORMAT"),
    ],
)
def test_a_template_that_cannot_work_is_refused(sql: str, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        QUERIES.validate_python(template(sql))
    assert reason in str(refused.value)


def test_places_are_filled_with_seconds_whatever_their_type() -> None:
    sql = f"SELECT {{ cadence : UInt32 }}, map('a', 1) {WINDOW.replace('DateTime64(3)', 'Int64')}"
    query = QUERIES.validate_python(template(sql + " ;\n"))
    assert filled(sql, start=120, stop=180, cadence_seconds=60) == {
        "from": "120",
        "to": "180",
        "cadence": "60",
    }
    assert query.model_dump()["sql"] == sql


@pytest.mark.parametrize("name", ["", "a`b", "a\\b", "a\nb"])
def test_a_name_that_could_end_its_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        QUERIES.validate_python(table() | {"table": name})


@pytest.mark.parametrize(
    "condition", [{"op": "in", "value": 1}, {"op": "=", "value": [1, 2]}, {"op": "or 1=1"}]
)
def test_a_condition_is_one_of_those_that_are_known(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        QUERIES.validate_python(table() | {"where": [{"column": "a"} | condition]})


def test_no_value_and_no_moment_is_in_the_sql() -> None:
    rules = Table.model_validate(
        table() | {"where": [{"column": "odd {from:x}", "value": "it's"}], "database": "my base"}
    )
    made = statement_of(rules)
    assert "it's" not in made.sql
    assert "FROM `my base`.`requests`" in made.sql
    assert "it's" in made.params.values()
    assert "it's" in oldest_of(rules).params.values()


def table() -> dict[str, Any]:
    return {
        "kind": "table",
        "table": "requests",
        "entity": "service",
        "time": "at",
        "metrics": {"request_rate": {"kind": "rows"}},
    }
