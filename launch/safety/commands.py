"""`ballast safety`: the policy of answers, and what an operator sees and steers of them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from launch.command import say
from launch.config.options import KeyFile
from launch.safety.check_command import check

if TYPE_CHECKING:
    from httpx import AsyncClient

safety = typer.Typer(
    help="Check a safety policy before it is active, and steer what goes by it.",
    no_args_is_help=True,
)
safety.command("check")(check)

Lines = list[str]

Why = Annotated[str, typer.Option("--reason", help="Why, in a few words; the timeline keeps it.")]
Family = Annotated[str | None, typer.Option("--family", help="Of this family only.")]


@safety.command()
def status() -> None:
    """Tell whether emergency mode is on, what people put over the models, and what was broken."""
    from launch.safety import steering  # noqa: PLC0415 - keeps `ballast version` quick

    _print(steering.status)


@safety.command()
def emergency(
    turn: Annotated[
        Literal["on", "off"], typer.Argument(help="`on`: every family answers its fallback.")
    ],
    reason: Why,
    key_file: KeyFile = None,
) -> None:
    """Turn emergency mode on or off, on every replica within a second."""
    from launch.safety import steering  # noqa: PLC0415 - see above

    _print(lambda client: steering.turn(client, reason, on=turn == "on"), key_file)


@safety.command()
def override(
    family: Annotated[str, typer.Argument(help="The family, such as `tail`.")],
    field: Annotated[str, typer.Argument(help="One of the outputs of the family's policy.")],
    value: Annotated[str, typer.Argument(help="A number; of a choice its name.")],
    reason: Why,
    entity: Annotated[
        str, typer.Option("--entity", help="For this entity only; for all if left out.")
    ] = "",
    minutes: Annotated[
        float, typer.Option("--minutes", help="How long it holds.", min=0.1, max=43_200)
    ] = 60.0,
    key_file: KeyFile = None,
) -> None:
    """Put a value in the place of what the model says, for a while."""
    from launch.safety import steering  # noqa: PLC0415 - see above

    request = steering.OverrideRequest(
        family, entity, field, steering.number_or_name(value), reason, minutes
    )
    _print(lambda client: steering.add_override(client, request), key_file)


@safety.command()
def overrides(
    end: Annotated[str | None, typer.Option("--end", help="End the override with this id.")] = None,
    key_file: KeyFile = None,
) -> None:
    """List the overrides that hold now, or end one."""
    from launch.safety import steering  # noqa: PLC0415 - see above

    _print(
        steering.overrides if end is None else lambda client: steering.end_override(client, end),
        key_file,
    )


@safety.command()
def violations(
    family: Family = None,
    severity: Annotated[
        Literal["safe", "warning", "unsafe", "critical"] | None,
        typer.Option("--severity", help="Of this level only."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="From this time on, as RFC 3339; the last day if left out."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=1000)] = 20,
) -> None:
    """List the limits that answers broke, newest first."""
    from launch.safety import steering  # noqa: PLC0415 - see above

    asked = {"family": family, "severity": severity, "since": since, "limit": str(limit)}
    _print(lambda client: steering.violations(client, asked))


def _print(work: Callable[["AsyncClient"], Awaitable[Lines]], key_file: Path | None = None) -> None:
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    for line in ask(work, key_file):
        say(line)
