"""`ballast config watch` and `ballast config certificate`: what a rollout is judged by."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from launch.command import say

# What Ctrl-C ends a program with: a script that waits for the rollout does not go on then.
INTERRUPTED = 130

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


def watch(
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
) -> None:
    """Follow a rollout: a live picture in a terminal, else a line for all that is new."""
    from launch.config.following import follow  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above
    from launch.config.watching import Watching  # noqa: PLC0415 - rich takes a moment

    if once:
        _print_one()
        return
    try:
        with Watching(live=sys.stdout.isatty()) as watching:
            ask(lambda client: follow(client, watching))
    except KeyboardInterrupt:
        say("The rollout goes on without being watched; `ballast config abort` ends it.")
        raise typer.Exit(INTERRUPTED) from None


def certificate(
    rollout: Annotated[
        str, typer.Argument(help="Its id; the one that goes on, or the last one, if left out.")
    ] = "",
    step: Annotated[
        int | None, typer.Option("--step", help="Of this step only; the first one is 0.")
    ] = None,
    to: Annotated[Path, typer.Option("--to", help="The file to write.")] = Path("certificate.json"),
) -> None:
    """Fetch what a rollout was judged by, for `ballast verify`."""
    from launch.config.certificates import download  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    for line in ask(lambda client: download(client, rollout, step, to)):
        say(line)


def _print_one() -> None:
    from shutil import get_terminal_size  # noqa: PLC0415 - see above

    from launch.config.following import look  # noqa: PLC0415 - see above
    from launch.config.picture import full_picture  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above
    from launch.config.step_path import StepPath  # noqa: PLC0415 - see above

    found, points = ask(lambda client: look(client, StepPath()))
    for line in full_picture(found, points, get_terminal_size().columns):
        say(line)
