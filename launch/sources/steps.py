"""What the commands that connect sources do alike: their options, and how they ask and fail."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from features.errors import FeatureError
from launch.command import failed
from launch.errors import LaunchError

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


def save(file: Path, text: str) -> None:
    """Write a file that the user named, or say in a sentence why that cannot be done."""
    try:
        file.write_text(text)
    except OSError as error:
        raise failed(f"{file} cannot be written: {error.strerror or error}.") from None


def confirm(consequence: str, *, yes: bool) -> None:
    """Say what follows, and ask whether to go on; without a terminal nobody can be asked."""
    if consequence:
        typer.echo(consequence)
    if yes:
        return
    if not sys.stdin.isatty():
        raise failed(
            "Nothing was changed: run the command again with --yes to connect this, or where "
            "it can ask you."
        )
    if not typer.confirm("Connect it like this?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit


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
