"""Chooses what the columns of the user's own SQL are, by their names and types."""

from collections.abc import Mapping
from typing import Any, Final

from features.errors import NothingUsableError
from features.sources.clickhouse.columns_used import METRICS, Stated
from features.sources.clickhouse.engine import Engine
from features.sources.clickhouse.names import ENTITIES, TIMES, meaning_of, plain
from features.sources.clickhouse.places import filled
from features.sources.clickhouse.rules import Template

_DAY: Final = 86_400
# Of one row a metric is what its column says; counts and statuses are of several.
_DIRECT: Final = ("rate", "gauge", "share", "quantile")


async def template_of(
    engine: Engine, sql: str, *, now: float, cadence_seconds: int, stated: Stated
) -> Template:
    """Run the SQL over a moment that is no matter, and see which columns its answer has."""
    # The metric is of no matter yet: what the SQL is checked for is the same.
    checked = Template.model_validate({"sql": sql, "metrics": {"load": {"column": "load"}}})
    whole = int(now) // _DAY * _DAY
    places = filled(
        checked.sql, start=whole, stop=whole + cadence_seconds, cadence_seconds=cadence_seconds
    )
    columns = (await engine.ask(checked.sql, places)).column_names
    metrics = dict(_metrics(columns, stated))
    if not metrics:
        raise NothingUsableError(
            f"none of the SQL's columns is a metric by its name (it answers {', '.join(columns)}). "
            f"Name them by AS: {', '.join(METRICS)}"
        )
    return Template.model_validate(
        {
            "sql": checked.sql,
            "entity": stated.entity or _named(columns, ENTITIES, "entity"),
            "time": stated.time or _named(columns, TIMES, "time"),
            "metrics": metrics,
            "deploy": "deploy" if "deploy" in columns else None,
        }
    )


def _metrics(columns: list[str], stated: Stated) -> Mapping[str, Any]:
    found: dict[str, Any] = {name: {"column": name} for name in columns if name in METRICS}
    for column in columns:
        meaning = meaning_of(column)
        if meaning is None or meaning.metric is None or meaning.kind not in _DIRECT:
            continue
        latency = meaning.kind == "quantile"
        times = meaning.times or (stated.latency_times if latency else 1.0)
        if times is not None:
            found.setdefault(meaning.metric, {"column": column, "times": times})
    return found


def _named(columns: list[str], names: tuple[str, ...], what: str) -> str:
    by_name = {plain(each): each for each in reversed(columns)}
    chosen = next((by_name[name] for name in names if name in by_name), None)
    if chosen is None:
        raise NothingUsableError(
            f"the SQL answers {', '.join(columns)}, of which none is known to be the {what}: name "
            f"it with --{what}-column"
        )
    return chosen
