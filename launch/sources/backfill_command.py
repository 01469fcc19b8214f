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
    from launch.features.door import front_door  # noqa: PLC0415 - keeps `ballast version` quick
    from launch.sources import backfilling  # noqa: PLC0415 - see above

    if (watch or cancel) and (since or until or (watch and cancel)):
        raise failed("Give --watch or --cancel alone: they begin nothing.")

    async def through_the_door() -> str:
        async with front_door(read_settings()) as door:
            if cancel:
                return await backfilling.cancel(door, name)
            if watch:
                return await backfilling.watch(door, name)
            return await backfilling.backfill(door, name, _aware(since), _aware(until))

    typer.echo(run(through_the_door()))


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)
