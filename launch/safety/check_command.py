"""`ballast safety check`: say what is wrong with a policy before it is active."""

from pathlib import Path
from typing import Annotated

import typer

from launch.command import failed

# 1 says that no verdict was reached.
NOT_SOUND = 4


def check(
    file: Annotated[Path, typer.Argument(help="A policy as JSON, or a whole configuration.")],
) -> None:
    """Prove that a policy holds together, or show by an example where not: exit code 4 then."""
    from safety.policy import SafetyPolicy  # noqa: PLC0415 - keeps `ballast version` quick

    try:
        SafetyPolicy.model_validate_json(file.read_bytes())
    except OSError as error:
        raise failed(f"{file} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        typer.secho(str(error), fg="red")
        raise typer.Exit(NOT_SOUND) from None
    typer.echo(f"{file} is a policy.")
