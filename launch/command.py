"""What every command does alike: read the settings, and fail with a sentence."""

import typer
from pydantic import ValidationError

from settings.environment import Settings
from settings.names import refusals


def read_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as refusal:
        for line in refusals(refusal):
            typer.secho(line, fg="red", err=True)
        raise typer.Exit(2) from None


def failed(message: str) -> typer.Exit:
    """Print the sentence, and give what ends the command."""
    typer.secho(message, fg="red", err=True)
    return typer.Exit(1)
