"""What the commands of `ballast config` share: options, and how the platform is asked."""

from pathlib import Path
from typing import Annotated, Any

import typer

Version = Annotated[int, typer.Argument(help="The version's number, as `config history` lists it.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="A file with your own key, in place of this machine's."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stays on the timeline.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


def fetch(method: str, path: str, body: Any = None, key_file: Path | None = None) -> Any:
    """Ask the platform once, with the key of a file or this machine's."""
    from launch import platform_client  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    return ask(lambda client: platform_client.fetch(client, method, path, body), key_file)


def completed() -> str:
    """Wait until every replica goes by what is active, and say so, or who does not."""
    from launch.config import requests  # noqa: PLC0415 - see above

    return requests.ask(requests.completed)
