"""`ballast config status` to `repair`: what is in force, what was, and what strayed."""

import time
from datetime import datetime
from typing import Annotated

import typer

from launch.command import read_settings, say
from launch.config.options import KeyFile, fetch

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


def status() -> None:
    """Say which state the configuration is in and what to do; also while nothing runs."""
    from launch.config.requests import steering  # noqa: PLC0415 - see above
    from launch.config.text import steering_lines  # noqa: PLC0415 - see above
    from launch.sources.steps import run  # noqa: PLC0415 - see above

    for line in steering_lines(run(steering(read_settings(), time.time()))):
        say(line)


def at_time(
    moment: Annotated[
        str, typer.Argument(metavar="TIME", help="Such as 2026-11-20T08:00:00Z, or now.")
    ],
) -> None:
    """Say what was in force at a time, and who let it in."""
    from launch.config.text import at_lines  # noqa: PLC0415 - see above

    asked = datetime.now().astimezone().isoformat() if moment == "now" else moment
    found = fetch("GET", f"/config/at?time={asked.replace('+', '%2B')}")
    for line in at_lines(found):
        say(line)


def history(
    limit: Annotated[int, typer.Option("--limit", help="So many at most.")] = 20,
) -> None:
    """List the versions, newest first: where each is in its life, who wrote and approved it."""
    from launch.config.text import version_line  # noqa: PLC0415 - see above

    for each in fetch("GET", f"/config/versions?limit={limit}"):
        say(version_line(each))


def drift() -> None:
    """Show which replicas go by another version, and what was changed in Redis; exit code 1."""
    from launch.config.text import drift_lines  # noqa: PLC0415 - see above

    found = fetch("GET", "/config/drift")
    for line in drift_lines(found):
        say(line)
    if not found["complete"] or found["findings"]:
        raise typer.Exit(1)


def repair(
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Where nobody knows the steering state any more: make one of the documents and "
            "the journal, with an admin's key.",
        ),
    ] = False,
    key_file: KeyFile = None,
) -> None:
    """Put right what was changed in Redis, and have every replica load what is active."""
    from launch.config.text import drift_lines  # noqa: PLC0415 - see above

    found = fetch("POST", "/config/repair", {"rebuild": rebuild}, key_file)
    say(f"Put right: {', '.join(found['repaired']) or 'nothing had to be'}.")
    for line in drift_lines(found):
        say(line)
