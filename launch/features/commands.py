"""`ballast features`: definitions of your own, training sets, and what proves them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from launch.command import read_settings
from launch.sources.steps import run, sentences

if TYPE_CHECKING:
    from httpx import AsyncClient

T = TypeVar("T")

features = typer.Typer(help="Define features, make and verify training sets.", no_args_is_help=True)

# As of `ballast audit`: 1 says that no verdict was reached.
NOT_SOUND = 4


Name = Annotated[str, typer.Argument(help="The feature's name.")]


@features.command("list")
def list_features() -> None:
    """List the features of your own, and whether each is in force."""
    from launch.features import definitions  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(definitions.listed(read_settings())))


@features.command("define")
def define(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A file with the definition, as JSON.")],
) -> None:
    """Add a feature of your own, or change one."""
    from launch.features import definitions  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(definitions.define(read_settings(), name, file, datetime.now(UTC))))


@features.command("force")
def force(name: Name) -> None:
    """Put a definition in force that is held back, although it is out of bounds."""
    from launch.features import definitions  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(definitions.force(read_settings(), name, datetime.now(UTC))))


@features.command("dataset")
def dataset(
    spine: Annotated[
        Path, typer.Argument(help="A .csv, .json or .parquet file with `entity` and `time`.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The Parquet file to write; the certificate lies beside.")
    ] = Path("dataset.parquet"),
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="A feature; repeat it. All, if left out.")
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", help="How many rows are computed again as a proof.")
    ] = 50,
) -> None:
    """Make a training set: for each entity and time the features that were served then."""
    from launch.features import datasets  # noqa: PLC0415 - keeps `ballast version` quick

    with sentences():
        query = datasets.dataset_query(spine, feature or [], sample)
    for line in run(_with_client(lambda client: datasets.make(client, query, out))):
        typer.echo(line)


@features.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The Parquet file; its certificate lies beside it.")],
    sample: Annotated[
        int, typer.Option("--sample", help="How many rows are made once more.")
    ] = 200,
) -> None:
    """Verify a training set by its certificate, and by rows made once more: exit code 4 if not."""
    from launch.features import datasets  # noqa: PLC0415 - see above

    verdict = run(_with_client(lambda client: datasets.verify(client, file, sample)))
    for line in verdict.lines:
        typer.secho(line, fg=None if verdict.sound else "red")
    if not verdict.sound:
        raise typer.Exit(NOT_SOUND)


async def _with_client(work: "Callable[[AsyncClient], Awaitable[T]]") -> T:
    from launch.platform_client import platform_client  # noqa: PLC0415 - see above

    async with platform_client(read_settings()) as client:
        return await work(client)
