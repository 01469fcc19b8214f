"""`ballast sources backfill`: a source's past, fetched anew, with a bar of how far it is."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from launch.command import failed, read_settings
from launch.sources.steps import run

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"]


def backfill(
    name: Annotated[str, typer.Argument(help="The source's name, as `sources list` prints it.")],
    since: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=FORMATS,
            help="From when on, UTC where no zone is given; as far as it goes, if left out.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", formats=FORMATS, help="Up to when; up to now, if left out."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Begin nothing: show how far the past is that is fetched."),
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End the one that is under way.")
    ] = False,
) -> None:
    """Fetch a source's past anew, and show how far it is; it goes on without this command."""
    from launch.platform_client import (  # noqa: PLC0415 - keeps `ballast version` quick
        platform_client,
    )
    from launch.sources import backfilling  # noqa: PLC0415 - see above

    if (watch or cancel) and (since or until or (watch and cancel)):
        raise failed("Give --watch or --cancel alone: they begin nothing.")

    async def ask_platform() -> str:
        async with platform_client(read_settings()) as client:
            if cancel:
                return await backfilling.cancel(client, name)
            if watch:
                return await backfilling.watch(client, name)
            return await backfilling.backfill(client, name, _aware(since), _aware(until))

    typer.echo(run(ask_platform()))


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)
