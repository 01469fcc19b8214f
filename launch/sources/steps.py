"""What the commands that connect sources do alike: their options, and how they ask and fail."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from features.errors import FeatureError
from launch.command import confirm, failed
from launch.errors import LaunchError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from config_store.sources import SourceConfig
    from settings.environment import Settings

T = TypeVar("T")

Cadence = Annotated[
    int,
    typer.Option(
        help="The seconds of an interval: a multiple of 15, and at least four times what lies "
        "between two scrapes."
    ),
]
EntityLabel = Annotated[
    str | None,
    typer.Option(help="The label that names a service; left out, the likeliest is taken."),
]
TokenFile = Annotated[
    Path | None, typer.Option(help="A file with the bearer token that the server asks for.")
]
OwnMapping = Annotated[
    Path | None,
    typer.Option(help="A mapping of your own, as JSON, in place of the one proposed."),
]
SaveMapping = Annotated[
    Path | None, typer.Option(help="A file to write the proposed mapping to, as JSON.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Connect without asking.")]
Force = Annotated[
    bool, typer.Option("--force", help="Connect it though a check says that it should not be.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be connected.")]


def save(file: Path | None, rules: "BaseModel") -> None:
    """Write the mapping as JSON if a file is named; a sentence says why that cannot be done."""
    if file is None:
        return
    try:
        file.write_text(rules.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise failed(f"{file} cannot be written: {error.strerror or error}.") from None


def confirm_and_connect(
    settings: "Settings", name: str, source: "SourceConfig", now: datetime, *, yes: bool
) -> None:
    """Say what follows, ask whether to go on, and add the source to the configuration."""
    from launch.sources import connecting  # noqa: PLC0415 - keeps `ballast version` quick

    if consequence := run(connecting.consequence(settings)):
        typer.echo(consequence)
    confirm("Connect it like this?", yes=yes)
    typer.echo(run(connecting.connect(settings, name, source, now)))


def run(work: Coroutine[Any, Any, T]) -> T:
    with sentences():
        return asyncio.run(work)


@contextmanager
def sentences() -> Iterator[None]:
    """Fail with the sentence alone where something was refused."""
    try:
        yield
    except (LaunchError, FeatureError) as error:
        raise failed(str(error)) from None
