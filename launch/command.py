"""What every command does alike: read the settings, print lines, ask, and fail with a sentence."""

import re
import sys

import typer
from pydantic import ValidationError

from settings.environment import Settings
from settings.names import refusals

# What a terminal obeys or does not show: escape sequences begin so, and marks that turn the writing
# direction. Whoever chooses a name, a reason or a message chooses no more than what is read.
_OBEYED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def read_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as refusal:
        for line in refusals(refusal):
            typer.secho(line, fg="red", err=True)
        raise typer.Exit(2) from None


def printable(line: str) -> str:
    """Give a line as it may stand on a terminal: what would not be seen as it is, is spelled."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def say(line: str, fg: str | None = None, *, bold: bool = False) -> None:
    """Print one line of what the platform or a file says."""
    typer.secho(printable(line), fg=fg, bold=bold)


def failed(message: str) -> typer.Exit:
    """Print the sentence, and give what ends the command."""
    lines = map(printable, message.split("\n"))
    typer.secho("\n".join(lines), fg="red", err=True)
    return typer.Exit(1)


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether to go on; without a terminal nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise failed(
            "Nothing was changed: run the command again with --yes, or where it can ask you."
        )
    if not typer.confirm(question):
        say("Nothing was changed.")
        raise typer.Exit
