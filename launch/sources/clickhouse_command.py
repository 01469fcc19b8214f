"""`ballast connect clickhouse`: tables of the user's own, which are only read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.command import failed, read_settings
from launch.sources.logs_command import Unit
from launch.sources.steps import DryRun, SaveMapping, Yes, confirm_and_connect, run, save, sentences

if TYPE_CHECKING:
    from features.sources.clickhouse.columns_used import Stated
    from features.sources.clickhouse.rules import Query
    from launch.sources.clickhouse_tables import ClickhouseTarget


def connect_clickhouse(
    url: Annotated[
        str,
        typer.Argument(
            help="Its HTTP address, such as http://clickhouse:8123, or a folder of chDB."
        ),
    ],
    name: Annotated[str, typer.Option(help="A name for the source.")] = "clickhouse",
    database: Annotated[str | None, typer.Option(help="Look only at this database.")] = None,
    table: Annotated[
        str | None, typer.Option(help="The table; left out, the likeliest is taken.")
    ] = None,
    sql: Annotated[
        Path | None,
        typer.Option(
            help="A file with SQL of your own that gives a row for each service and interval, "
            "between {from:DateTime64(3)} and {to:DateTime64(3)}."
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help="The user; left out, `default`.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="A file with the user's password.")
    ] = None,
    entity_column: Annotated[
        str | None, typer.Option(help="The column that names the service.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(help="The column that says when a row was measured.")
    ] = None,
    latency_unit: Annotated[
        Unit | None, typer.Option(help="The unit of latencies whose names do not say it.")
    ] = None,
    cadence: Annotated[
        int, typer.Option(help="The seconds of an interval: a multiple of 15.")
    ] = 60,
    lateness: Annotated[
        int, typer.Option(help="How many seconds after its interval a row may be inserted.")
    ] = 10,
    mapping: Annotated[
        Path | None,
        typer.Option(help="A mapping of your own, as JSON, in place of the one proposed."),
    ] = None,
    save_mapping: SaveMapping = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Look at the tables of a ClickHouse, show how they would be used, and connect them."""
    from launch.sources import clickhouse_tables, connecting  # noqa: PLC0415 - a quick `version`

    if sum(each is not None for each in (table, sql, mapping)) > 1:
        raise failed("Give one of --table, --sql and --mapping.")
    settings = read_settings()
    address = url if "://" in url or Path(url).is_dir() else f"http://{url}"
    target = clickhouse_tables.ClickhouseTarget(
        name, address, user, password_file, database, cadence, lateness
    )
    with sentences():
        clickhouse_tables.check_target(target)
    if not dry_run:
        run(connecting.refuse_taken_name(settings, name))
    now = datetime.now(UTC)
    stated = _stated(entity_column, time_column, latency_unit)
    if mapping is None and sql is None:
        query = _proposed(target, table, stated, now)
    else:
        query = _own(target, mapping, sql, stated, now)
    save(save_mapping, query)
    if dry_run:
        return
    confirm_and_connect(settings, name, target.source(query), now, yes=yes)


def _stated(entity: str | None, time: str | None, unit: Unit | None) -> "Stated":
    from features.sources.clickhouse.columns_used import Stated  # noqa: PLC0415 - see above
    from features.sources.clickhouse.names import UNITS  # noqa: PLC0415 - see above

    return Stated(entity, time, None if unit is None else UNITS[unit.value])


def _proposed(
    target: "ClickhouseTarget", table: str | None, stated: "Stated", now: datetime
) -> "Query":
    """Show what is proposed for a table, with a sample of it."""
    from launch.sources import clickhouse_tables, clickhouse_text  # noqa: PLC0415 - see above

    proposal = run(clickhouse_tables.look_at(target, table, stated, now))
    clickhouse_text.show(proposal)
    return proposal.rules


def _own(
    target: "ClickhouseTarget",
    mapping: Path | None,
    sql: Path | None,
    stated: "Stated",
    now: datetime,
) -> "Query":
    """Show what the user's own mapping or SQL gives now."""
    from launch.sources import clickhouse_tables  # noqa: PLC0415 - see above
    from launch.sources.checking import ask  # noqa: PLC0415 - see above

    with sentences():
        if mapping is not None:
            query = clickhouse_tables.read_query(mapping)
        elif sql is not None:
            text = clickhouse_tables.read_sql(sql)
            query = run(clickhouse_tables.look_at_sql(target, text, stated, now))
    typer.echo(run(ask(target.name, target.source(query), now)).text)
    return query
