"""`ballast config watch` and `ballast config certificate`: what a rollout is judged by."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from launch.command import say

# A script that waits for the rollout goes on by 0 alone: after the end that was hoped for.
ABORTED = 4
INTERRUPTED = 130  # what Ctrl-C ends a program with

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


def watch(
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
) -> None:
    """Follow a rollout: a live picture in a terminal, else a line for all that is new.

    Exit code 0 where it finished, 4 where it was aborted, 130 where Ctrl-C ended the watching.
    --once ends with 4 where no rollout goes on and the last one was aborted.
    """
    from launch.config.following import follow  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above
    from launch.config.watching import Watching  # noqa: PLC0415 - rich takes a moment

    try:
        if once:
            aborted = _print_one()
        else:
            with Watching(live=sys.stdout.isatty()) as watching:
                aborted = ask(lambda client: follow(client, watching))
    except KeyboardInterrupt:
        say("The rollout goes on without being watched; `ballast config abort` ends it.")
        raise typer.Exit(INTERRUPTED) from None
    if aborted:
        raise typer.Exit(ABORTED)


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


def _print_one() -> bool:
    """Print one picture; tell whether it is of a rollout that was aborted."""
    from shutil import get_terminal_size  # noqa: PLC0415 - see above

    from launch.config.following import Followed, look  # noqa: PLC0415 - see above
    from launch.config.picture import full_picture  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above
    from launch.config.step_path import StepPath  # noqa: PLC0415 - see above

    found, points = ask(lambda client: look(client, StepPath()))
    for line in full_picture(found, points, get_terminal_size().columns):
        say(line)
    followed = Followed()
    followed.note(found)
    return followed.aborted
