"""Checks what a user writes of a source, and says in a sentence what is wrong with it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from config_store.sources import SourceConfig, SourcesConfig
from launch.errors import LaunchError

S = TypeVar("S", bound=SourceConfig)
T = TypeVar("T")


def checked(name: str, make: Callable[[], S]) -> S:
    """Make a source, and check it and its name by the rules of the configuration."""
    try:
        source = make()
        SourcesConfig(named={name: source})
    except ValidationError as refusal:
        raise wrong(refusal) from None
    return source


def read_file(file: Path, what: str, parse: Callable[[bytes], T]) -> T:
    """Read a mapping or rules of the user's own."""
    try:
        return parse(file.read_bytes())
    except ValidationError as refusal:
        raise LaunchError(f"The {what} in {file} cannot be used: {_first(refusal)}") from None
    except OSError as error:
        raise LaunchError(f"The {what} {file} cannot be read: {error.strerror}.") from None


def refuse_password(url: str) -> None:
    """Say that a URL may hold no password, in the words of the command line."""
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise LaunchError(
            "The URL holds a password, and the configuration holds no secret: leave it out, and "
            "name a file that holds a token with --token-file."
        )


def wrong(refusal: ValidationError) -> LaunchError:
    """Say what was refused of what the user wrote."""
    return LaunchError(f"This cannot be connected: {_first(refusal)}")


def _first(refusal: ValidationError) -> str:
    first = refusal.errors()[0]
    where = " ".join(str(part) for part in first["loc"] if part not in ("named", "[key]"))
    return f"{where}{': ' if where else ''}{first['msg']} (given: {first['input']})."
