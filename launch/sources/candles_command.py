"""`ballast connect candles`: the candles of a market, whose symbols become entities."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from launch.command import failed, read_settings
from launch.sources.steps import (
    DryRun,
    OwnMapping,
    SaveMapping,
    TokenFile,
    Yes,
    confirm_and_connect,
    run,
    save,
    sentences,
)


def connect_candles(
    url: Annotated[
        str, typer.Argument(help="The address under which /candles is, as http://market:8080.")
    ],
    symbol: Annotated[
        list[str] | None,
        typer.Option(help="A symbol; give it again for each one. Left out, all of /symbols."),
    ] = None,
    name: Annotated[str, typer.Option(help="A name for the source.")] = "candles",
    cadence: Annotated[
        int, typer.Option(help="The seconds of a candle: 60, 300, 900, 1800 or 3600.")
    ] = 60,
    exchange: Annotated[
        str | None,
        typer.Option(help="The ISO 10383 code of the exchange that the market's hours follow."),
    ] = None,
    lateness: Annotated[
        int, typer.Option(help="How many seconds after its end a candle may be published.")
    ] = 5,
    token_file: TokenFile = None,
    mapping: OwnMapping = None,
    save_mapping: SaveMapping = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Look at an upstream's candles, show what they give, and connect them."""
    from launch.sources import candles_text, candles_upstream, connecting  # noqa: PLC0415 - rich

    settings = read_settings()
    upstream = candles_upstream.Upstream(
        name,
        url if "://" in url else f"http://{url}",
        tuple(symbol or ()),
        cadence,
        exchange,
        lateness,
        None if token_file is None else str(token_file.absolute()),
    )
    with sentences():
        candles_upstream.check_upstream(upstream)
        own = None if mapping is None else candles_upstream.read_own(mapping)
    if own is not None and not upstream.symbols:
        raise failed("Name the symbols with --symbol: a mapping of your own says none.")
    if not dry_run:
        run(connecting.refuse_taken_name(settings, name))
    now = datetime.now(UTC)
    looked = run(candles_upstream.look_at(upstream, own, now))
    candles_text.show(looked, upstream.url)
    save(save_mapping, looked.source.mapping)
    if dry_run:
        return
    confirm_and_connect(settings, name, looked.source, now, yes=yes)
