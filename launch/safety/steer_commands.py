"""`ballast safety`: what an operator sees and steers of the answers, through the API."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from launch.command import read_settings, say
from launch.sources.steps import run

if TYPE_CHECKING:
    from httpx import AsyncClient

Lines = list[str]

Why = Annotated[str, typer.Option("--reason", help="Why, in a few words; the timeline keeps it.")]
Family = Annotated[str | None, typer.Option("--family", help="Of this family only.")]


def status() -> None:
    """Tell whether emergency mode is on, what people put over the models, and what was broken."""
    from launch.safety import steering  # noqa: PLC0415 - keeps `ballast version` quick

    _print(steering.status)


def emergency(
    turn: Annotated[
        Literal["on", "off"], typer.Argument(help="`on`: every family answers its fallback.")
    ],
    reason: Why,
) -> None:
    """Turn emergency mode on or off, on every replica within a second."""
    from launch.safety import steering  # noqa: PLC0415 - see above

    _print(lambda client: steering.turn(client, reason, on=turn == "on"))


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
) -> None:
    """Put a value in the place of what the model says, for a while."""
    from launch.safety import steering  # noqa: PLC0415 - see above

    request = steering.OverrideRequest(
        family, entity, field, steering.number_or_name(value), reason, minutes
    )
    _print(lambda client: steering.add_override(client, request))


def overrides(
    end: Annotated[str | None, typer.Option("--end", help="End the override with this id.")] = None,
) -> None:
    """List the overrides that hold now, or end one."""
    from launch.safety import steering  # noqa: PLC0415 - see above

    _print(steering.overrides if end is None else lambda client: steering.end_override(client, end))


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


def _print(ask: Callable[["AsyncClient"], Awaitable[Lines]]) -> None:
    for line in run(_with_client(ask)):
        say(line)


async def _with_client(ask: Callable[["AsyncClient"], Awaitable[Lines]]) -> Lines:
    from launch.platform_client import platform_client  # noqa: PLC0415 - see above

    async with platform_client(read_settings()) as client:
        return await ask(client)
